/**
 * Waits out a database that is away for a while. Every recorder method can be repeated after an unknown outcome, and
 * the fence makes a late one harmless, so an attempt goes on as soon as the database answers, or is told to stop.
 */
import { setTimeout as delay } from "node:timers/promises";
import { RendiffError } from "../../src/errors.ts";
import type { Recorder } from "./recorder.ts";

const FIRST_DELAY_MS = 100;
const DELAY_MS_MAX = 5_000;

const mayPass = (error: unknown): boolean =>
  error instanceof RendiffError && (error.kind === "database.unavailable" || error.kind === "database.timeout");

async function patiently<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  for (let delayMs = FIRST_DELAY_MS; ; delayMs = Math.min(delayMs * 2, DELAY_MS_MAX)) {
    try {
      return await work();
    } catch (error) {
      if (!mayPass(error) || signal.aborted) throw error;
      await delay(delayMs, undefined, { signal });
    }
  }
}

export function withPatience(recorder: Recorder, signal: AbortSignal): Recorder {
  const patient =
    <Args extends unknown[], T>(method: (...args: Args) => Promise<T>) =>
    (...args: Args): Promise<T> =>
      patiently(signal, () => method(...args));
  return {
    progress: recorder.progress,
    stage: patient(recorder.stage),
    staged: patient(recorder.staged),
    reusable: patient(recorder.reusable),
    fence: patient(recorder.fence),
    complete: patient(recorder.complete),
    fail: patient(recorder.fail),
    publishOverdue: patient(recorder.publishOverdue),
    failPublishing: patient(recorder.failPublishing),
    ownStaging: patient(recorder.ownStaging),
    forgetStaging: patient(recorder.forgetStaging),
    cancelled: patient(recorder.cancelled),
    snoozed: patient(recorder.snoozed),
  };
}
