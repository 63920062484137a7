/** The tracer of a server: with a collector configured it sends spans there, else it only passes traces on. */
import type { Config } from "../config/config.ts";
import type { Logger } from "../telemetry/logger.ts";
import { makeSampler } from "../telemetry/samplers.ts";
import { makeTracer, type Tracer } from "../telemetry/tracer.ts";
import { VERSION } from "../version.ts";

/** Reaches no server: a collector that is away costs traces and nothing else. */
export async function openTracer({ telemetry, process: { role } }: Config, logger: Logger): Promise<Tracer> {
  const { traces: config } = telemetry;
  if (config === null) return makeTracer({ sink: null });
  const { openOtlp } = await import("../telemetry/otlp.ts");
  const sink = openOtlp({ config, logger, version: VERSION, role });
  return makeTracer({ sink, samples: makeSampler(config.sampler, config.samplerRatio) });
}
