/** The recorder of a server: rows decide, and after each commit listeners are told to look. */
import { type Coordination, names } from "../../src/coordination/ports.ts";
import type { Sql } from "../../src/database/sql.ts";
import { publishChange, publishProgress, toProgressFields } from "../../src/events/messages.ts";
import { tellCourier } from "../../src/jobs/announce.ts";
import { fence } from "../../src/jobs/fence.ts";
import {
  completeJob,
  confirmCancelled,
  failJob,
  failPublishing,
  publishOverdue,
  snooze,
} from "../../src/jobs/finish.ts";
import { findReusable } from "../../src/jobs/reuse.ts";
import { recordStage, recordStaging } from "../../src/jobs/stages.ts";
import { deleteStagingRow, ownStagingToDelete } from "../../src/jobs/staging.ts";
import type { Claim, LiveProgress } from "../../src/jobs/types.ts";
import type { Logger } from "../../src/telemetry/logger.ts";
import { makeProgressWebhook } from "../../src/webhooks/progress.ts";
import type { Message } from "../../src/webhooks/send.ts";
import type { Recorder } from "./recorder.ts";

export interface SqlRecorderPorts {
  readonly sql: Sql;
  readonly coordination: Pick<Coordination, "bus" | "cache">;
  readonly logger: Logger;
  readonly maxAttempts: number;
  readonly publishTimeoutMs: number;
  /** Sends a webhook that is not stored; never rejects for what the receiver does. */
  sendWebhook(message: Message): Promise<unknown>;
}

/** How long a job's last live progress is kept for `GET /jobs/{id}`. */
const PROGRESS_TTL_MS = 60_000;

export function makeSqlRecorder(ports: SqlRecorderPorts, { lease, job }: Claim): Recorder {
  const { sql, coordination, logger } = ports;
  const { jobId } = lease;
  const tell = (): Promise<void> =>
    publishChange(coordination.bus, jobId).catch((error: unknown) =>
      logger.warn({ err: error, jobId }, "a job's listeners were not told of a change"),
    );
  /** After a change that a client may be told of: the row is there, so the attempt goes on while they are. */
  const told = async <T>(work: Promise<T>): Promise<T> => {
    const result = await work;
    void tell();
    return result;
  };
  /** The last change, which is told before the worker may leave; a message that is lost costs latency only. */
  const ended = async <T>(work: Promise<T>): Promise<T> => {
    const result = await work;
    await tell();
    await tellCourier(ports, job);
    return result;
  };
  const webhook = makeProgressWebhook({ sql, send: ports.sendWebhook }, job);
  const live = (progress: LiveProgress): void => {
    Promise.all([
      publishProgress(coordination.bus, progress),
      coordination.cache.setFields(names.progress(jobId), toProgressFields(progress), PROGRESS_TTL_MS),
      webhook?.(progress),
    ]).catch((error: unknown) => logger.debug({ err: error, jobId }, "live progress was not passed on"));
  };
  return {
    stage: (stage, extra = {}) => told(recordStage(sql, lease, stage, extra)),
    progress: (progress) => live({ jobId, ...progress }),
    staged: (objects) => recordStaging(sql, lease, objects),
    reusable: (fingerprints) => findReusable(sql, jobId, fingerprints),
    async fence(manifest) {
      const result = await told(fence(sql, lease, manifest, ports.publishTimeoutMs));
      return { outcome: typeof result === "string" ? result : "wait" };
    },
    complete(manifest, published) {
      const processing_time = job.startedAt === null ? 0 : (Date.now() - job.startedAt.getTime()) / 1000;
      return ended(completeJob(sql, lease, { outputs: published, metrics: { ...manifest.metrics, processing_time } }));
    },
    fail: (failure, retry) => ended(failJob(sql, lease, { ...failure, retry }, { maxAttempts: ports.maxAttempts })),
    publishOverdue: () => publishOverdue(sql, lease),
    failPublishing: (failure) => ended(failPublishing(sql, lease, failure)),
    cancelled: () => ended(confirmCancelled(sql, lease)),
    snoozed: () => ended(snooze(sql, lease)),
    async ownStaging() {
      const rows = await ownStagingToDelete(sql, lease);
      // An intent without a handle may still turn into an upload: the sweeper looks at it when that cannot be any more.
      return rows.flatMap(({ staged }) => (staged === null ? [] : [staged]));
    },
    async forgetStaging(object) {
      await deleteStagingRow(sql, { ...object, jobId });
    },
  };
}
