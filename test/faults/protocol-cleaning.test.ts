/** Each rule about what is left behind: staging, other tokens, deleted outputs. */
import { describe, expect, test } from "bun:test";
import type { SqlRunner } from "../../src/database/sql.ts";
import * as writes from "../../src/jobs/attempt-writes.ts";
import * as guards from "../../src/jobs/guards.ts";
import { reapDeadWorkers, workerLeft } from "../../src/jobs/liveness.ts";
import { claimOutputsForDeletion, finishOutputDeletion } from "../../src/jobs/retention.ts";
import { deleteStagingRow, orphanStaging, ownStagingToDelete, type StagedRow } from "../../src/jobs/staging.ts";
import type { JobId, Lease, PublishManifest } from "../../src/jobs/types.ts";
import type { StagedBytes } from "../../src/storage/port.ts";
import { until } from "../support/until.ts";
import {
  ENGINES,
  makeWorker,
  manifestOf,
  mustClaim,
  openTestDatabase,
  stepOf,
  submit,
  type TestDatabase,
} from "./protocol-harness.ts";
import { type Rule, testRules } from "./protocol-rules.ts";
import { MemoryStore } from "./simulation-store.ts";

const HOUR_MS = 3_600_000;
const REAP = { ticksBehind: 3, poisonAfter: 3, limit: 100 };

async function start(database: TestDatabase): Promise<{ jobId: JobId; lease: Lease }> {
  const jobId = await submit(database);
  return { jobId, lease: await mustClaim(database.sql, await makeWorker(database.sql), jobId) };
}

async function upload(
  database: TestDatabase,
  store: MemoryStore,
  lease: Lease,
  key: string,
): Promise<{ bytes: StagedBytes; manifest: PublishManifest }> {
  await writes.recordStaging(database.sql, lease, [{ backend: "local", key }]);
  const bytes = store.stage(key, { jobId: lease.jobId, leaseToken: lease.leaseToken });
  await writes.recordStaging(database.sql, lease, [bytes]);
  return { bytes, manifest: { ...manifestOf(lease, []), steps: [{ ...stepOf(lease, 0, key), staged: bytes }] } };
}

/** Removes staged bytes as rows name them, then forgets the rows. */
async function sweep(sql: SqlRunner, store: MemoryStore, rows: readonly StagedRow[]): Promise<void> {
  for (const row of rows) {
    if (row.staged === null) store.abortOwned(row);
    else store.abort(row.staged);
    await deleteStagingRow(sql, row);
  }
}

async function publish(database: TestDatabase, store: MemoryStore, key: string): Promise<JobId> {
  const { jobId, lease } = await start(database);
  const { bytes, manifest } = await upload(database, store, lease, key);
  await writes.fence(database.sql, lease, manifest, HOUR_MS);
  const seen = store.publish(bytes);
  if (seen.outcome === "lost") throw new Error("The publication was lost.");
  await writes.completeJob(database.sql, lease, { outputs: [{ ordinal: 0, identity: seen.identity }] });
  return jobId;
}

const staging: Rule[] = [
  {
    name: "the intent is on record before the upload begins",
    off: [],
    async scenario({ sql, database, ruled }) {
      const store = new MemoryStore();
      const { lease } = await start(database);
      if (ruled) await writes.recordStaging(sql, lease, [{ backend: "local", key: "out.mp4" }]);
      store.stage("out.mp4", lease);
      // The worker dies before it can record the handle.
      await workerLeft(database.sql, lease.workerId);
      await reapDeadWorkers(database.sql, REAP);
      await sweep(sql, store, await orphanStaging(sql, 100));
      return store.staged.size === 0 ? null : "an upload is left that nothing names";
    },
  },
  {
    name: "a handle is recorded with the stage, and an intent that is repeated does not forget it",
    off: [["coalesce(excluded.staged, staging.staged)", "excluded.staged"]],
    async scenario({ sql, database }) {
      const store = new MemoryStore();
      const { lease } = await start(database);
      const intent = [{ backend: "local", key: "out.mp4" }];
      await writes.recordStaging(database.sql, lease, intent);
      const bytes = store.stage("out.mp4", lease);
      await writes.recordStage(sql, lease, "uploading", { staging: [bytes] });
      await writes.recordStage(sql, lease, "uploading", { staging: intent });
      await workerLeft(database.sql, lease.workerId);
      await reapDeadWorkers(database.sql, REAP);
      const [row] = await orphanStaging(database.sql, 100);
      return row?.staged?.handle === bytes.handle ? null : "nobody knows the upload's id any more";
    },
  },
  {
    name: "an attempt that lost its lease begins no upload",
    off: [
      [guards.HAS_TOKEN, "$2::bigint IS NOT NULL"],
      [guards.HAS_WORKER, "$3::uuid IS NOT NULL"],
      [guards.IS_PROCESSING, "TRUE"],
    ],
    async scenario({ sql, database }) {
      const { lease } = await start(database);
      await workerLeft(database.sql, lease.workerId);
      await reapDeadWorkers(database.sql, REAP);
      const held = await writes.recordStaging(sql, lease, [{ backend: "local", key: "out.mp4" }]);
      return held ? "a dead attempt starts to upload" : null;
    },
  },
  {
    name: "the sweeper leaves what a running attempt uploads",
    off: [[guards.STAGING_NOT_RUNNING, "TRUE"]],
    async scenario({ sql, database }) {
      const store = new MemoryStore();
      const { lease } = await start(database);
      await upload(database, store, lease, "out.mp4");
      await sweep(sql, store, await orphanStaging(sql, 100));
      return store.staged.size === 1 ? null : "a running attempt lost its upload";
    },
  },
  {
    name: "the sweeper leaves what a manifest names, also while the job waits for a successor",
    off: [[guards.STAGING_NOT_IN_MANIFEST, "TRUE"]],
    async scenario({ sql, database }) {
      const store = new MemoryStore();
      const { lease } = await start(database);
      const { bytes, manifest } = await upload(database, store, lease, "out.mp4");
      await writes.fence(database.sql, lease, manifest, HOUR_MS);
      await workerLeft(database.sql, lease.workerId);
      await reapDeadWorkers(database.sql, REAP);
      await sweep(sql, store, await orphanStaging(sql, 100));
      return store.publish(bytes).outcome === "published" ? null : "a job has nothing left to publish";
    },
  },
  {
    name: "an attempt that lost its lease leaves its staging alone when the manifest names it",
    off: [[guards.STAGING_NOT_IN_MANIFEST, "TRUE"]],
    async scenario({ sql, database }) {
      const store = new MemoryStore();
      const { lease } = await start(database);
      const { bytes, manifest } = await upload(database, store, lease, "out.mp4");
      await writes.fence(database.sql, lease, manifest, HOUR_MS);
      await workerLeft(database.sql, lease.workerId);
      await reapDeadWorkers(database.sql, REAP);
      await mustClaim(database.sql, await makeWorker(database.sql), lease.jobId);
      await sweep(sql, store, await ownStagingToDelete(sql, lease));
      return store.publish(bytes).outcome === "published" ? null : "the successor has nothing left to publish";
    },
  },
  {
    name: "an attempt that lost its lease deletes only its own staging",
    off: [
      ["s.lease_token = $2 AND", "$2::bigint IS NOT NULL AND"],
      [guards.STAGING_NOT_RUNNING, "TRUE"],
    ],
    async scenario({ sql, database }) {
      const store = new MemoryStore();
      const { lease } = await start(database);
      await upload(database, store, lease, "out.mp4");
      await workerLeft(database.sql, lease.workerId);
      await reapDeadWorkers(database.sql, REAP);
      const current = await mustClaim(database.sql, await makeWorker(database.sql), lease.jobId);
      const mine = await upload(database, store, current, "out.mp4");
      await sweep(sql, store, await ownStagingToDelete(sql, lease));
      return store.staged.has(mine.bytes.handle) && store.staged.size === 1 ? null : "the successor lost its upload";
    },
  },
  {
    name: "what other tokens left is cleaned once the job has ended",
    off: [[guards.STAGING_IS_ORPHAN, "FALSE"]],
    async scenario({ sql, database }) {
      const store = new MemoryStore();
      const { lease } = await start(database);
      await upload(database, store, lease, "out.mp4");
      await workerLeft(database.sql, lease.workerId);
      await reapDeadWorkers(database.sql, REAP);
      const current = await mustClaim(database.sql, await makeWorker(database.sql), lease.jobId);
      const { bytes, manifest } = await upload(database, store, current, "out.mp4");
      await writes.fence(database.sql, current, manifest, HOUR_MS);
      const seen = store.publish(bytes);
      if (seen.outcome === "lost") throw new Error("The publication was lost.");
      await writes.completeJob(database.sql, current, { outputs: [{ ordinal: 0, identity: seen.identity }] });
      await sweep(sql, store, await orphanStaging(sql, 100));
      const rows = await database.sql.query("SELECT FROM staging");
      return store.staged.size + rows.length === 0 ? null : "staged bytes of a finished job stay for ever";
    },
  },
];

const deleting: Rule[] = [
  {
    name: "deleting outputs takes the key's claim",
    off: [],
    async scenario({ sql, database, ruled }) {
      const store = new MemoryStore();
      const jobId = await publish(database, store, "same.mp4");
      if (ruled) await claimOutputsForDeletion(sql, { jobId, takeoverMs: HOUR_MS });
      const two = await start(database);
      const { bytes, manifest } = await upload(database, store, two.lease, "same.mp4");
      const answer = await writes.fence(sql, two.lease, manifest, HOUR_MS);
      if (answer === "fenced") store.publish(bytes);
      // A store that cannot delete on condition deletes what lies under the key.
      store.delete("same.mp4", "whatever", true);
      await finishOutputDeletion(sql, { jobId, outcomes: [{ ordinal: 0, gone: true }] });
      return answer === "fenced" && !store.visible.has("same.mp4") ? "the deletion took another job's output" : null;
    },
  },
  {
    name: "a key that is being published is not deleted under",
    off: [["WHERE output_claims.job_id = excluded.job_id AND", "WHERE TRUE OR"]],
    async scenario({ sql, database }) {
      const store = new MemoryStore();
      const jobId = await publish(database, store, "same.mp4");
      const two = await start(database);
      await writes.fence(database.sql, two.lease, manifestOf(two.lease, ["same.mp4"]), HOUR_MS);
      const { claimed } = await claimOutputsForDeletion(sql, { jobId, takeoverMs: HOUR_MS });
      return claimed.length === 0 ? null : "two jobs hold one key";
    },
  },
  {
    name: "only the very object recorded is deleted",
    off: [],
    async scenario({ sql, database, ruled }) {
      const store = new MemoryStore();
      const one = await publish(database, store, "same.mp4");
      // Of another deployment, or of no job at all: no row and no claim knows of it.
      store.publish(store.stage("same.mp4", { jobId: "a stranger", leaseToken: 1 }));
      const { claimed } = await claimOutputsForDeletion(sql, { jobId: one, takeoverMs: HOUR_MS });
      for (const output of claimed) store.delete(output.key, output.identity, !ruled);
      await finishOutputDeletion(sql, { jobId: one, outcomes: [{ ordinal: 0, gone: true }] });
      expect(claimed.length).toBe(1);
      return store.visible.get("same.mp4")?.jobId === "a stranger" ? null : "the deletion took another's object";
    },
  },
];

for (const engine of ENGINES) testRules(engine, [...staging, ...deleting]);

describe("keys are taken in one order", () => {
  /** Jobs whose steps name two keys in opposite orders, kept apart at the middle one by a third transaction. */
  async function race(sorted: boolean): Promise<string[]> {
    const database = await openTestDatabase("postgres");
    const off = (text: string): string =>
      sorted ? text : text.replace("SELECT DISTINCT step", "SELECT step").replace("ORDER BY w.backend, w.key)", ")");
    const sql: SqlRunner = { query: (text, params) => database.sql.query(off(text), params) };
    const one = await start(database);
    const two = await start(database);
    const gate = Promise.withResolvers<void>();
    const holding = Promise.withResolvers<void>();
    const blocker = database.sql
      .transaction(async (tx) => {
        await tx.query("INSERT INTO output_claims (backend, key, job_id) VALUES ('local', 'm', $1)", [one.jobId]);
        holding.resolve();
        await gate.promise;
        throw new Error("roll back");
      })
      .catch(() => undefined);
    await holding.promise;
    const racing = [
      writes.fence(sql, one.lease, manifestOf(one.lease, ["a", "m", "z"]), HOUR_MS),
      writes.fence(sql, two.lease, manifestOf(two.lease, ["z", "m", "a"]), HOUR_MS),
    ];
    await until(
      async () => {
        const rows = await database.sql.query(
          "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
        );
        return rows.length === 2;
      },
      { what: "both fences to wait for a key" },
    );
    gate.resolve();
    await blocker;
    const answers = await Promise.allSettled(racing);
    return answers.map((answer) =>
      answer.status === "rejected" ? "error" : typeof answer.value === "string" ? answer.value : "wait",
    );
  }

  test("sorted: one passes and the other waits", async () => {
    expect((await race(true)).sort()).toEqual(["fenced", "wait"]);
  }, 30_000);

  test("in the manifests' own order they wait for each other in a circle", async () => {
    expect(await race(false)).toContain("error");
  }, 30_000);
});
