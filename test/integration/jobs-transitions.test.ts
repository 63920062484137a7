/**
 * The statements against the transition table: every valid row, every command, both engines, the same answer, the same
 * row afterwards, the same event and the same end of the attempt. What the simulation proves of the table holds for the
 * statements because of this test.
 */
import { describe, expect, test } from "bun:test";
import { json, type Sql } from "../../src/database/sql.ts";
import { type RendiffError, toRendiffError } from "../../src/errors.ts";
import * as writes from "../../src/jobs/attempt-writes.ts";
import { cancelJob } from "../../src/jobs/cancel.ts";
import { claimJob } from "../../src/jobs/claim.ts";
import { reapDeadWorkers } from "../../src/jobs/reap.ts";
import { listAttempts, listEvents } from "../../src/jobs/store.ts";
import { type Command, isValid, type LeaseState, type RowState, transition } from "../../src/jobs/transitions.ts";
import { JOB_STATUSES, type JobFailure, type JobId, type Lease, type WorkerId } from "../../src/jobs/types.ts";
import {
  ENGINES,
  type EngineName,
  makeWorker,
  manifestOf,
  newJobId,
  openTestDatabase,
  type TestDatabase,
} from "../faults/protocol-harness.ts";

const MAX_ATTEMPTS = 2;
const POISON_AFTER = 2;
const TOKEN = 7;
const OTHER_JOB = newJobId();
const FAILURE: JobFailure = {
  kind: "ffmpeg.failed",
  message: "It failed.",
  retryable: true,
  evidence: null,
  hint: null,
};
const FAR_MS = 3_600_000;

interface Workers {
  readonly holder: WorkerId;
  readonly claimer: WorkerId;
  readonly stranger: WorkerId;
}

function* validRows(holder: string): Generator<RowState> {
  for (const status of JOB_STATUSES)
    for (const stage of [null, "downloading", "encoding", "publishing"] as const)
      for (const manifestToken of [null, TOKEN, TOKEN - 1])
        for (const cancelRequested of [false, true])
          for (const failureCount of [0, 1])
            for (const crashCount of [0, 1])
              for (const due of status === "queued" ? [true, false] : [true])
                for (const publishOverdue of [false, true]) {
                  const row: RowState = {
                    status,
                    stage,
                    manifestToken,
                    cancelRequested,
                    leaseToken: TOKEN,
                    workerId: status === "processing" ? holder : null,
                    attempt: 4,
                    failureCount,
                    crashCount,
                    due,
                    publishOverdue,
                  };
                  if (isValid(row)) yield row;
                }
}

function commandsFor(row: RowState, workers: Workers): Command[] {
  const own: LeaseState = { leaseToken: TOKEN, workerId: workers.holder };
  const leases: LeaseState[] = [own, { ...own, leaseToken: TOKEN - 1 }, { ...own, workerId: workers.stranger }];
  const fenced = leases.flatMap((lease): Command[] => [
    { type: "stage", lease, stage: "probing" },
    { type: "stage", lease, stage: "verifying" },
    // A manifest that names an earlier token is rolled forward; the fence is not asked for it.
    { type: "fence", lease, keyIsBusy: false },
    { type: "fence", lease, keyIsBusy: true },
    { type: "complete", lease, allSeen: true },
    { type: "complete", lease, allSeen: false },
    { type: "fail", lease, retry: true, maxAttempts: MAX_ATTEMPTS },
    { type: "fail", lease, retry: false, maxAttempts: MAX_ATTEMPTS },
    { type: "fail_publishing", lease },
    { type: "confirm_cancelled", lease },
    { type: "snooze", lease },
    { type: "give_back", lease },
  ]);
  const unfenced: Command[] = [
    { type: "claim", workerId: workers.claimer },
    { type: "cancel" },
    { type: "reap", workerIsDead: false, poisonAfter: POISON_AFTER },
  ];
  // Rows whose lease is lost answer alike whatever their counters say.
  return row.status === "processing" || row.failureCount + row.crashCount === 0 ? [...unfenced, ...fenced] : unfenced;
}

/** Stores rows as they are, in one statement; each has an attempt under way if it is processing. */
async function storeRows(database: TestDatabase, cases: readonly { id: JobId; row: RowState }[]): Promise<void> {
  const items = cases.map(({ id, row }) => ({
    id,
    ...row,
    final: row.status !== "queued" && row.status !== "processing",
    manifest:
      row.manifestToken === null
        ? null
        : manifestOf({ jobId: id, leaseToken: row.manifestToken, workerId: "" as WorkerId }, [`${id}/out.mp4`]),
  }));
  await database.sql.query(
    `WITH stored AS (
       INSERT INTO jobs (id, key_id, type, status, stage, priority, queue_rank, spec, manifest, publish_deadline_at,
         cancel_requested_at, lease_token, worker_id, attempt, failure_count, crash_count, run_at, completed_at, error)
       SELECT (i ->> 'id')::uuid, $2::uuid, 'convert', i ->> 'status', i ->> 'stage', 1, 0, '{}',
         nullif(i -> 'manifest', 'null'), CASE WHEN i -> 'manifest' <> 'null'
           THEN now() + CASE WHEN (i ->> 'publishOverdue')::boolean THEN -1 ELSE 1 END * interval '1 hour' END,
         CASE WHEN (i ->> 'cancelRequested')::boolean THEN now() END, (i ->> 'leaseToken')::bigint,
         (i ->> 'workerId')::uuid, (i ->> 'attempt')::integer, (i ->> 'failureCount')::integer,
         (i ->> 'crashCount')::integer, now() + CASE WHEN (i ->> 'due')::boolean THEN -1 ELSE 1 END * interval '1 hour',
         CASE WHEN (i ->> 'final')::boolean THEN now() END, CASE WHEN i ->> 'status' = 'failed' THEN '{}'::jsonb END
       FROM jsonb_array_elements($1::jsonb) AS i
       RETURNING *)
     INSERT INTO job_attempts (job_id, attempt, lease_token, worker_id)
     SELECT id, attempt, lease_token, worker_id FROM stored WHERE status = 'processing'`,
    [json(items), database.keyId],
  );
}

async function readRow(sql: Sql, id: JobId): Promise<RowState> {
  const [row] = await sql.query<Record<string, never>>(
    `SELECT status, stage, (manifest ->> 'leaseToken')::bigint AS "manifestToken",
       cancel_requested_at IS NOT NULL AS "cancelRequested", lease_token AS "leaseToken", worker_id AS "workerId", attempt,
       failure_count AS "failureCount", crash_count AS "crashCount", run_at <= now() AS due,
       coalesce(publish_deadline_at <= now(), false) AS "publishOverdue"
     FROM jobs WHERE id = $1`,
    [id],
  );
  return row as unknown as RowState;
}

async function run(sql: Sql, jobId: JobId, command: Command): Promise<string> {
  const policy = { baseMs: FAR_MS, capMs: FAR_MS, random: () => 0.5 };
  const lease = "lease" in command ? ({ jobId, ...command.lease } as Lease) : null;
  const held = (answer: boolean) => (answer ? "held" : "lost");
  switch (command.type) {
    case "claim": {
      const request = { workerId: command.workerId as WorkerId, jobTypes: null, priorities: null, jobId };
      return (await claimJob(sql, request)) === null ? "none" : "claimed";
    }
    case "cancel":
      return (await cancelJob(sql, { jobId, keyId: null })).outcome;
    case "reap": {
      const reaped = await reapDeadWorkers(sql, { ticksBehind: 3, poisonAfter: command.poisonAfter, limit: 1_000 });
      return reaped.find((job) => job.jobId === jobId)?.outcome ?? "none";
    }
  }
  if (lease === null) throw new Error("A command without a lease is one of the above.");
  switch (command.type) {
    case "stage":
      return held(await writes.recordStage(sql, lease, command.stage));
    case "fence": {
      const key = command.keyIsBusy ? "busy.mp4" : `${jobId}/out.mp4`;
      const result = await writes.fence(sql, lease, manifestOf(lease, [key]), FAR_MS);
      return typeof result === "string" ? result : "wait";
    }
    case "complete": {
      const outputs = command.allSeen ? [{ ordinal: 0, identity: "seen" }] : [];
      return (await writes.completeJob(sql, lease, { outputs })) ? "completed" : "lost";
    }
    case "fail": {
      const failure = { ...FAILURE, retry: command.retry ? ("backoff" as const) : ("never" as const) };
      return writes.failJob(sql, lease, failure, { maxAttempts: command.maxAttempts, policy });
    }
    case "fail_publishing":
      return writes.failPublishing(sql, lease, FAILURE);
    case "confirm_cancelled":
      return (await writes.confirmCancelled(sql, lease)) ? "cancelled" : "lost";
    case "snooze":
      return held(await writes.snooze(sql, lease));
    case "give_back":
      return held(await writes.giveBack(sql, lease));
  }
}

/** What our own mistakes reject with, in the table's words. */
const BUGS: readonly (readonly [part: string, outcome: string])[] = [
  ["was not looked at", "unseen"],
  ["already has a manifest", "foreign"],
];

async function answer(sql: Sql, id: JobId, command: Command): Promise<string> {
  try {
    return await run(sql, id, command);
  } catch (thrown) {
    const error: RendiffError = toRendiffError(thrown);
    const bug = BUGS.find(([part]) => error.publicMessage.includes(part));
    if (bug === undefined) throw thrown;
    return bug[1];
  }
}

async function compareAll(engine: EngineName): Promise<number> {
  const database = await openTestDatabase(engine);
  const { sql } = database;
  const workers: Workers = {
    holder: await makeWorker(sql),
    claimer: await makeWorker(sql),
    stranger: await makeWorker(sql),
  };
  await sql.query("INSERT INTO output_claims (backend, key, job_id) VALUES ('local', 'busy.mp4', $1)", [OTHER_JOB]);
  const cases = [...validRows(workers.holder)].flatMap((row) =>
    commandsFor(row, workers).map((command) => ({ id: newJobId(), row, command })),
  );
  await storeRows(database, cases);
  for (const { id, row, command } of cases) {
    const expected = transition(row, command);
    const context = `${JSON.stringify(row)} ${JSON.stringify(command)}`;
    const outcome = await answer(sql, id, command);
    expect(`${outcome} after ${context}`).toBe(`${expected.outcome} after ${context}`);
  }
  for (const { id, row, command } of cases) await compareRow(sql, id, row, command);
  await compareReaping(database, workers.holder);
  return cases.length;
}

async function compareRow(sql: Sql, id: JobId, row: RowState, command: Command): Promise<void> {
  const expected = transition(row, command);
  const context = `${JSON.stringify(row)} ${JSON.stringify(command)}`;
  expect({ context, row: await readRow(sql, id) }).toEqual({ context, row: expected.row });
  const events = await listEvents(sql, { jobId: id, afterSeq: 0, limit: 10 });
  expect({ context, events: events.map((event) => [event.seq, event.type]) }).toEqual({
    context,
    events: expected.event === null ? [] : [[1, expected.event]],
  });
  const attempts = await listAttempts(sql, id);
  const ran = attempts.find((attempt) => attempt.attempt === row.attempt);
  expect({ context, ended: ran?.outcome ?? null }).toEqual({ context, ended: expected.ended });
}

/** Reaping takes every row of a dead worker at once, so it has rows of its own. */
async function compareReaping(database: TestDatabase, holder: WorkerId): Promise<void> {
  const { sql } = database;
  await sql.query("DELETE FROM jobs");
  const command: Command = { type: "reap", workerIsDead: true, poisonAfter: POISON_AFTER };
  const cases = [...validRows(holder)].map((row) => ({ id: newJobId(), row }));
  await storeRows(database, cases);
  await sql.query("UPDATE liveness SET tick = tick + 3");
  const reaped = await reapDeadWorkers(sql, { ticksBehind: 3, poisonAfter: POISON_AFTER, limit: 1_000 });
  for (const { id, row } of cases) {
    const outcome = reaped.find((job) => job.jobId === id)?.outcome ?? "none";
    expect({ row, outcome }).toEqual({ row, outcome: transition(row, command).outcome });
    await compareRow(sql, id, row, command);
  }
}

describe("the statements agree with the transition table", () => {
  for (const engine of ENGINES) {
    test(engine, async () => {
      expect(await compareAll(engine)).toBeGreaterThan(500);
    }, 60_000);
  }
});
