/** `POST /estimate`: what a conversion would take. */
import { Elysia } from "elysia";
import type { z } from "zod";
import { keepEstimate } from "../../src/jobs/estimates.ts";
import { checkJob } from "../../src/jobs/submit.ts";
import type { Estimate, Predicted } from "../../src/media/measure/estimate.ts";
import { answer, withDeadline } from "../answers.ts";
import { readJson } from "../body.ts";
import type { HttpContext } from "../context.ts";
import { API_PREFIX } from "../route-rule.ts";
import { principalOf } from "../state.ts";
import type { estimateSchema } from "./estimate.routes.ts";

const ESTIMATE_TIMEOUT_MS = 90_000;

const rounded = (value: number, places: number): number => Number(value.toFixed(places));

function band({ value, off }: Predicted, places: number) {
  return {
    value: rounded(value, places),
    min: rounded(value * (1 - off), places),
    max: rounded(value * (1 + off), places),
    off_percent: rounded(off * 100, 1),
  };
}

function toView(estimate: Estimate & { readonly warnings: readonly string[] }): z.infer<typeof estimateSchema> {
  const { seconds, cpuSeconds, bytes, memoryBytes, outputSeconds, samples, sampledSeconds, warnings } = estimate;
  return {
    seconds: band(seconds, 3),
    cpu_seconds: cpuSeconds === null ? null : band(cpuSeconds, 3),
    bytes: band(bytes, 0),
    memory_bytes: memoryBytes === null ? null : band(memoryBytes, 0),
    output_seconds: outputSeconds,
    samples,
    sampled_seconds: rounded(sampledSeconds, 3),
    warnings: [...warnings],
  };
}

export const estimatePlugin = (context: HttpContext) =>
  new Elysia({ name: "estimate", prefix: API_PREFIX }).post(
    "/estimate",
    async ({ request }) => {
      const { value: body } = await readJson(request, context.config.http.bodyLimitBytes);
      const principal = principalOf(request);
      const { spec } = await checkJob(context, principal, "convert", { body, keyBase: "" });
      const estimate = await withDeadline(request, ESTIMATE_TIMEOUT_MS, (signal) =>
        context.media.estimate(spec, signal),
      );
      await keepEstimate(context.sql, principal.keyId, spec, estimate);
      return answer(200, toView(estimate));
    },
    { parse: "none" },
  );
