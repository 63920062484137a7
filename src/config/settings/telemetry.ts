/** Settings of what the service tells of itself: OpenTelemetry's own names and meanings. */
import { OTLP_PROTOCOLS, SAMPLERS } from "../config.ts";
import { fraction, httpUrl, integer, oneOf, pairs, text } from "../kinds.ts";
import { optional, setting } from "../setting.ts";

export const telemetrySettings = {
  OTEL_EXPORTER_OTLP_ENDPOINT: optional(httpUrl, {
    without: "off",
    meaning: "an OpenTelemetry collector: traces go to its `/v1/traces`",
  }),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: optional(httpUrl, {
    without: "`/v1/traces` of the collector",
    meaning: "where traces go, taken as it is",
  }),
  OTEL_EXPORTER_OTLP_HEADERS: optional(pairs, {
    without: "none",
    meaning: "headers for the collector, such as `Authorization=Bearer%20…`",
    secret: true,
  }),
  OTEL_EXPORTER_OTLP_PROTOCOL: setting(oneOf(OTLP_PROTOCOLS), {
    default: "http/protobuf",
    meaning: "what the collector is spoken to in",
  }),
  OTEL_EXPORTER_OTLP_COMPRESSION: setting(oneOf(["none", "gzip"]), {
    default: "none",
    meaning: "of what is sent to the collector",
  }),
  OTEL_EXPORTER_OTLP_TIMEOUT: setting(integer({ min: 1, max: 600_000 }), {
    default: "10000",
    meaning: "how long the collector may take, in milliseconds",
  }),
  OTEL_SERVICE_NAME: setting(text("a name", /\S/), { default: "rendiff", meaning: "what traces call this service" }),
  OTEL_RESOURCE_ATTRIBUTES: optional(pairs, {
    without: "none",
    meaning: "what else traces say of this service, such as `deployment.environment.name=staging`",
  }),
  OTEL_TRACES_SAMPLER: setting(oneOf(SAMPLERS), {
    default: "parentbased_always_on",
    meaning: "which traces are recorded",
  }),
  OTEL_TRACES_SAMPLER_ARG: setting(fraction, {
    default: "1.0",
    meaning: "the share of traces that a sampler by ratio records",
  }),
};
