/** OpenTelemetry's samplers by their names there (`OTEL_TRACES_SAMPLER`). */
import type { SamplerName } from "../config/config.ts";
import type { Sampler } from "./tracer.ts";

/** Of a trace's id only, so that every replica decides alike. */
const isWithin = (traceId: string, ratio: number): boolean => Number.parseInt(traceId.slice(-13), 16) < ratio * 2 ** 52;

/** `ratio`: which share of traces `traceidratio` records, 0 to 1. */
export function makeSampler(name: SamplerName, ratio: number): Sampler {
  const parentBased = name.startsWith("parentbased_");
  const begins = name.endsWith("always_off") ? 0 : name.endsWith("always_on") ? 1 : ratio;
  return (parent, traceId) => (parentBased && parent !== null ? parent.sampled : isWithin(traceId, begins));
}
