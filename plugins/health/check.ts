/** Runs the health checks, side by side and each with a deadline, and keeps the outcome for a moment. */

import type { z } from "zod";
import type { HealthCheck } from "../context.ts";
import type { healthSchema } from "./health.routes.ts";

type Health = z.infer<typeof healthSchema>;
type CheckOutcome = Health["checks"][string];

const CHECK_TIMEOUT_MS = 2_000;
/** Whoever asks often must not turn the checks into load. */
const KEEP_MS = 1_000;

async function runCheck(check: HealthCheck): Promise<CheckOutcome> {
  const startedAtMs = performance.now();
  const signal = AbortSignal.timeout(CHECK_TIMEOUT_MS);
  const outcome = (status: CheckOutcome["status"], note: string | null): CheckOutcome => ({
    status,
    latency_ms: Math.round((performance.now() - startedAtMs) * 100) / 100,
    note,
  });
  const late = new Promise<never>((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(new Error("too slow")));
  });
  try {
    return outcome("healthy", await Promise.race([check.run(signal), late]));
  } catch {
    // What went wrong is the operator's to read in the log; this answer is public.
    return outcome(check.vital ? "unhealthy" : "degraded", signal.aborted ? "did not answer in time" : "does not work");
  }
}

export function makeHealth(checks: readonly HealthCheck[], version: string): () => Promise<Health> {
  let kept: { readonly untilMs: number; readonly health: Promise<Health> } | null = null;
  const run = async (): Promise<Health> => {
    const outcomes = await Promise.all(checks.map(async (check) => [check.name, await runCheck(check)] as const));
    const statuses = outcomes.map(([, { status }]) => status);
    const worst = (["unhealthy", "degraded"] as const).find((status) => statuses.includes(status)) ?? "healthy";
    return { status: worst, version, checks: Object.fromEntries(outcomes) };
  };
  return () => {
    const nowMs = performance.now();
    if (kept === null || kept.untilMs <= nowMs) kept = { untilMs: nowMs + KEEP_MS, health: run() };
    return kept.health;
  };
}
