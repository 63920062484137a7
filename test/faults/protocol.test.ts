/** Each rule about liveness, the row and cancelling, with it and without it. */
import * as writes from "../../src/jobs/attempt-writes.ts";
import { cancelJob } from "../../src/jobs/cancel.ts";
import { claimJob } from "../../src/jobs/claim.ts";
import * as guards from "../../src/jobs/guards.ts";
import { advanceTick, heartbeat, reapDeadWorkers, workerLeft } from "../../src/jobs/liveness.ts";
import { isCutOff, reconcileHeld } from "../../src/jobs/liveness-rules.ts";
import { getJob, listAttempts, listEvents } from "../../src/jobs/store.ts";
import type { Job, JobFailure, JobId, Lease } from "../../src/jobs/types.ts";
import {
  ENGINES,
  makeWorker,
  manifestOf,
  mustClaim,
  passTicks,
  submit,
  type TestDatabase,
} from "./protocol-harness.ts";
import { type Rule, testRules } from "./protocol-rules.ts";

const REAP = { ticksBehind: 3, poisonAfter: 3, limit: 100 };
const FAILURE: JobFailure = {
  kind: "ffmpeg.failed",
  message: "It failed.",
  retryable: true,
  evidence: null,
  hint: null,
};
const HOUR_MS = 3_600_000;

async function read(database: TestDatabase, jobId: JobId): Promise<Job> {
  const job = await getJob(database.sql, { jobId, keyId: null });
  if (job === null) throw new Error("The job is gone.");
  return job;
}

/** A job whose first holder died and that a second one runs now. */
async function takenOver(database: TestDatabase): Promise<{ jobId: JobId; old: Lease; current: Lease }> {
  const jobId = await submit(database);
  const old = await mustClaim(database.sql, await makeWorker(database.sql), jobId);
  await passTicks(database.sql, REAP.ticksBehind);
  await reapDeadWorkers(database.sql, REAP);
  const current = await mustClaim(database.sql, await makeWorker(database.sql), jobId);
  return { jobId, old, current };
}

const liveness: Rule[] = [
  {
    name: "a tick is added at most once per interval, whoever asks",
    off: [[guards.TICK_IS_DUE, "TRUE"]],
    async scenario({ sql, database }) {
      const jobId = await submit(database);
      await mustClaim(database.sql, await makeWorker(database.sql), jobId);
      for (let replica = 0; replica < 5; replica += 1) await advanceTick(sql, HOUR_MS);
      const reaped = await reapDeadWorkers(database.sql, REAP);
      return reaped.length > 0 ? "a worker that lives was reaped within one interval" : null;
    },
  },
  {
    name: "an outage or a jump of the clock adds one tick, not one per interval that passed",
    off: [
      [
        guards.TICKS_TO_ADD,
        "floor(extract(epoch FROM clock_timestamp() - l.at) * 1000 / $1::double precision)::bigint",
      ],
    ],
    async scenario({ sql, database }) {
      const jobId = await submit(database);
      await mustClaim(database.sql, await makeWorker(database.sql), jobId);
      await database.sql.query("UPDATE liveness SET at = at - interval '1 hour'");
      await advanceTick(sql, 5_000);
      const reaped = await reapDeadWorkers(database.sql, REAP);
      return reaped.length > 0 ? "a worker that lives was reaped after an outage" : null;
    },
  },
  {
    name: "a worker is dead only N ticks after its last heartbeat",
    off: [[guards.WORKER_IS_BEHIND, "($1::bigint IS NOT NULL)"]],
    async scenario({ sql, database }) {
      const jobId = await submit(database);
      const workerId = await makeWorker(database.sql);
      await mustClaim(database.sql, workerId, jobId);
      await passTicks(database.sql, 10);
      await heartbeat(sql, { workerId });
      await passTicks(database.sql, REAP.ticksBehind - 1);
      return (await reapDeadWorkers(sql, REAP)).length > 0 ? "a worker within its lease was reaped" : null;
    },
  },
  {
    name: "a worker that is N ticks behind is reaped, whatever it says of itself",
    off: [[guards.WORKER_IS_BEHIND, "($1::bigint IS NULL)"]],
    async scenario({ sql, database }) {
      const jobId = await submit(database);
      await mustClaim(database.sql, await makeWorker(database.sql), jobId);
      await passTicks(database.sql, REAP.ticksBehind);
      await reapDeadWorkers(sql, REAP);
      return (await read(database, jobId)).status === "processing" ? "a dead worker keeps its job for ever" : null;
    },
  },
  {
    name: "a worker that left, or has no row, holds nothing",
    off: [[guards.WORKER_IS_GONE, "FALSE"]],
    async scenario({ sql, database }) {
      const left = await submit(database);
      const workerId = await makeWorker(database.sql);
      await mustClaim(database.sql, workerId, left);
      await workerLeft(database.sql, workerId);
      const unknown = await submit(database);
      await mustClaim(database.sql, crypto.randomUUID() as typeof workerId, unknown);
      const reaped = await reapDeadWorkers(sql, REAP);
      return reaped.length < 2 ? "a job stays with a worker that nobody will ever count" : null;
    },
  },
  {
    name: "a worker that left claims no more, however late its claim arrives",
    off: [[guards.CLAIMER_HAS_NOT_LEFT, "$1::uuid IS NOT NULL"]],
    async scenario({ sql, database }) {
      const jobId = await submit(database);
      const workerId = await makeWorker(database.sql);
      await workerLeft(database.sql, workerId);
      const claim = await claimJob(sql, { workerId, jobTypes: null, priorities: null, jobId });
      return claim === null ? null : "a job went to a process that has ended";
    },
  },
  {
    name: "a claim whose reply was lost is given back at the next heartbeat, without charge",
    off: [],
    async scenario({ sql, database, ruled }) {
      const jobId = await submit(database);
      const workerId = await makeWorker(database.sql);
      await claimJob(sql, { workerId, jobTypes: null, priorities: null, jobId });
      const { held } = await heartbeat(sql, { workerId });
      const { giveBack } = reconcileHeld(held, [], !ruled);
      for (const lease of giveBack) await writes.giveBack(sql, { ...lease, workerId });
      await passTicks(database.sql, REAP.ticksBehind - 1);
      await heartbeat(sql, { workerId });
      await reapDeadWorkers(sql, REAP);
      const job = await read(database, jobId);
      if (job.status === "processing") return "nobody runs the job and nobody will ever reap it";
      return job.crashCount + job.failureCount === 0 ? null : "the lost reply was charged to the job";
    },
  },
  {
    name: "a worker kills what it runs and no longer holds",
    off: [],
    async scenario({ sql, database, ruled }) {
      const { jobId, old } = await takenOver(database);
      const { held } = await heartbeat(sql, { workerId: old.workerId });
      const { kill } = reconcileHeld(held, ruled ? [old] : [], false);
      const running = kill.some((lease) => lease.leaseToken === old.leaseToken) ? 1 : 2;
      return running > 1 ? `two processes encode job ${jobId}` : null;
    },
  },
  {
    name: "a worker that hears N - 1 ticks beyond its heartbeat stops before another can have its job",
    off: [],
    async scenario({ sql, database, ruled }) {
      const jobId = await submit(database);
      const lease = await mustClaim(database.sql, await makeWorker(database.sql), jobId);
      const successor = await makeWorker(database.sql);
      let encodes = true;
      for (let tick = 1; tick <= REAP.ticksBehind; tick += 1) {
        await passTicks(database.sql, 1);
        await heartbeat(sql, { workerId: successor });
        if (ruled && isCutOff(tick, 0, REAP.ticksBehind)) encodes = false;
        await reapDeadWorkers(sql, REAP);
        const claim = await claimJob(sql, { workerId: successor, jobTypes: null, priorities: null, jobId });
        if (claim !== null && encodes) return `${lease.workerId} encodes beside its successor`;
      }
      return null;
    },
  },
  {
    name: "a process has a worker id of its own",
    off: [],
    async scenario({ sql, database, ruled }) {
      const jobId = await submit(database);
      const frozen = await makeWorker(database.sql);
      const restarted = ruled ? await makeWorker(database.sql) : frozen;
      await mustClaim(database.sql, restarted, jobId);
      // The frozen process thaws: its heartbeat names what it does not run, and it gives that back.
      const { held } = await heartbeat(sql, { workerId: frozen });
      for (const lease of reconcileHeld(held, [], false).giveBack) {
        await writes.giveBack(sql, { ...lease, workerId: frozen });
      }
      return (await read(database, jobId)).status === "processing" ? null : "a running job lost its lease";
    },
  },
];

const row: Rule[] = [
  {
    name: "one claim wins, with no lock but the row",
    off: [[guards.IS_QUEUED, "TRUE"]],
    async scenario({ sql, database }) {
      const jobId = await submit(database);
      const first = await makeWorker(database.sql);
      const second = await makeWorker(database.sql);
      const request = { jobTypes: null, priorities: null, jobId };
      const claims = [
        await claimJob(sql, { ...request, workerId: first }),
        await claimJob(sql, { ...request, workerId: second }),
      ];
      return claims.filter((claim) => claim !== null).length === 1 ? null : "two workers run one job";
    },
  },
  {
    name: "a job is not claimed before its time",
    off: [[guards.IS_DUE, "TRUE"]],
    async scenario({ sql, database }) {
      const jobId = await submit(database);
      const workerId = await makeWorker(database.sql);
      const lease = await mustClaim(database.sql, workerId, jobId);
      await writes.snooze(database.sql, lease, { delayMs: HOUR_MS });
      const claim = await claimJob(sql, { workerId, jobTypes: null, priorities: null, jobId });
      return claim === null ? null : "the backoff was skipped";
    },
  },
  {
    name: "an earlier token writes nothing",
    off: [[guards.HAS_TOKEN, "$2::bigint IS NOT NULL"]],
    async scenario({ sql, database }) {
      const jobId = await submit(database);
      const workerId = await makeWorker(database.sql);
      const old = await mustClaim(database.sql, workerId, jobId);
      await writes.giveBack(database.sql, old);
      const current = await mustClaim(database.sql, workerId, jobId);
      // The give-back is repeated by the network after the same worker has claimed the job again.
      await writes.giveBack(sql, old);
      const attempts = await listAttempts(database.sql, jobId);
      const running = attempts.find((attempt) => attempt.leaseToken === current.leaseToken);
      return running?.outcome === null ? null : "a late write ended the attempt that runs";
    },
  },
  {
    name: "another worker's id writes nothing",
    off: [[guards.HAS_WORKER, "$3::uuid IS NOT NULL"]],
    async scenario({ sql, database }) {
      const { jobId, current } = await takenOver(database);
      const stranger = { ...current, workerId: await makeWorker(database.sql) };
      await writes.recordStage(sql, stranger, "encoding");
      return (await read(database, jobId)).stage === "downloading" ? null : "a stranger moved the job on";
    },
  },
  {
    name: "a reaped row that waits in the queue takes no write, although its token is still the old one",
    off: [
      [guards.IS_PROCESSING, "TRUE"],
      [guards.HAS_WORKER, "$3::uuid IS NOT NULL"],
    ],
    async scenario({ sql, database }) {
      const jobId = await submit(database);
      const lease = await mustClaim(database.sql, await makeWorker(database.sql), jobId);
      await passTicks(database.sql, REAP.ticksBehind);
      await reapDeadWorkers(database.sql, REAP);
      const answer = await writes.failJob(sql, lease, { ...FAILURE, retry: "never" }, { maxAttempts: 3 });
      return answer === "lost" ? null : "a dead worker's last word failed a job that another will run";
    },
  },
  {
    name: "reaping cancels where a cancel was requested",
    off: [[guards.CANCEL_WANTED, "FALSE"]],
    async scenario({ sql, database }) {
      const jobId = await submit(database);
      const lease = await mustClaim(database.sql, await makeWorker(database.sql), jobId);
      await cancelJob(database.sql, { jobId, keyId: null });
      await workerLeft(database.sql, lease.workerId);
      await reapDeadWorkers(sql, REAP);
      const workerId = await makeWorker(database.sql);
      await claimJob(database.sql, { workerId, jobTypes: null, priorities: null, jobId });
      return (await read(database, jobId)).status === "cancelled" ? null : "the job can neither run nor end";
    },
  },
  {
    name: "a job that keeps killing its worker is stopped at POISON_AFTER",
    off: [["j.crash_count + 1 >= $2::integer", "($2::integer IS NULL)"]],
    async scenario({ sql, database }) {
      const jobId = await submit(database);
      for (let crash = 0; crash < REAP.poisonAfter; crash += 1) {
        const lease = await mustClaim(database.sql, await makeWorker(database.sql), jobId);
        await workerLeft(database.sql, lease.workerId);
        await reapDeadWorkers(sql, REAP);
      }
      const job = await read(database, jobId);
      return job.status === "failed" && job.error?.kind === "job.poisoned" ? null : "it goes on killing workers";
    },
  },
  {
    name: "with a manifest a job is never poisoned",
    off: [[guards.IS_PUBLISHING, "FALSE"]],
    async scenario({ sql, database }) {
      const jobId = await submit(database);
      const lease = await mustClaim(database.sql, await makeWorker(database.sql), jobId);
      await writes.fence(database.sql, lease, manifestOf(lease, ["out.mp4"]), HOUR_MS);
      await workerLeft(database.sql, lease.workerId);
      await reapDeadWorkers(sql, { ...REAP, poisonAfter: 1 });
      const { status } = await read(database, jobId);
      return status === "queued" ? null : `outputs may be visible and the job is ${status}`;
    },
  },
  {
    name: "with a manifest a job never fails, however often publishing does",
    off: [[guards.IS_PUBLISHING, "FALSE"]],
    async scenario({ sql, database }) {
      const jobId = await submit(database);
      const lease = await mustClaim(database.sql, await makeWorker(database.sql), jobId);
      await writes.fence(database.sql, lease, manifestOf(lease, ["out.mp4"]), HOUR_MS);
      await writes.failJob(sql, lease, { ...FAILURE, retry: "never" }, { maxAttempts: 1 });
      const { status } = await read(database, jobId);
      return status === "queued" ? null : `outputs may be visible and the job is ${status}`;
    },
  },
  {
    name: "cancel succeeds only where there is no manifest",
    off: [[guards.NOT_PUBLISHING, "TRUE"]],
    async scenario({ sql, database }) {
      const jobId = await submit(database);
      const lease = await mustClaim(database.sql, await makeWorker(database.sql), jobId);
      await writes.fence(database.sql, lease, manifestOf(lease, ["out.mp4"]), HOUR_MS);
      await writes.snooze(database.sql, lease);
      // Whatever the status: the job waits in the queue to be rolled forward.
      const { outcome } = await cancelJob(sql, { jobId, keyId: null });
      return outcome === "conflict" ? null : "a job was cancelled whose outputs may be visible";
    },
  },
  {
    name: "a change and its event are one statement",
    off: [["INSERT INTO job_logs (job_id, seq, type, data)", ""]],
    async scenario({ sql, database }) {
      const jobId = await submit(database);
      const lease = await mustClaim(database.sql, await makeWorker(database.sql), jobId);
      await writes.recordStage(sql, lease, "encoding");
      await writes.recordStage(database.sql, lease, "verifying");
      const events = await listEvents(database.sql, { jobId, afterSeq: 0, limit: 100 });
      return events.every((event, index) => event.seq === index + 1) ? null : "events of the job have a gap";
    },
  },
];

for (const engine of ENGINES) testRules(engine, [...liveness, ...row]);
