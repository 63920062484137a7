/**
 * Progress by webhook: sent at most every ten seconds for a job, one at a time, never stored and never tried again, so that
 * it cannot queue up before the event that matters.
 */
import type { SqlRunner } from "../database/sql.ts";
import type { Job, LiveProgress } from "../jobs/types.ts";
import { webhookSecrets } from "./deliveries.ts";
import type { Message } from "./send.ts";

const INTERVAL_MS = 10_000;

export interface ProgressPorts {
  readonly sql: SqlRunner;
  send(message: Message): Promise<unknown>;
  readonly intervalMs?: number;
  now?(): number;
}

export type SendProgress = (progress: LiveProgress) => Promise<void>;

/** Null when the job's client does not want to know. What the function returns settles when the receiver has answered. */
export function makeProgressWebhook(ports: ProgressPorts, job: Job): SendProgress | null {
  const { webhookUrl: url } = job;
  if (url === null || !job.webhookEvents.includes("progress")) return null;
  const { now = () => performance.now(), intervalMs = INTERVAL_MS } = ports;
  let dueAtMs = now();
  let busy = false;
  return async (progress) => {
    if (busy || now() < dueAtMs) return;
    busy = true;
    dueAtMs = now() + intervalMs;
    try {
      const secrets = (await webhookSecrets(ports.sql, job.keyId)) ?? [];
      const body = {
        ...{ event: "job.progress", timestamp: new Date().toISOString(), job_id: job.id, type: job.type },
        ...{ status: "processing", stage: progress.stage, progress: progress.progress, fps: progress.fps },
        ...{ speed: progress.speed, eta_seconds: progress.etaSeconds, batch_id: job.batchId, metadata: job.metadata },
      };
      await ports.send({ id: Bun.randomUUIDv7(), url, body, secrets, traceparent: job.traceparent });
    } finally {
      busy = false;
    }
  };
}
