/** A worker over a real database and in-process coordination, whose attempts do what a test tells them to. */
import { fromPromise, toPromise } from "xstate";
import type { AttemptLogic } from "../../actors/attempt/attempt.logic.ts";
import { attemptMachine } from "../../actors/attempt/attempt.machine.ts";
import type { AttemptContext, FenceOutcome } from "../../actors/attempt/attempt.types.ts";
import { makeProcessors } from "../../actors/attempt/processors.ts";
import { spawnRoot } from "../../actors/spawn-root.ts";
import { makeWorkerLogic, type WorkerPorts } from "../../actors/worker/worker.logic.ts";
import { makeMemoryCoordination } from "../../src/coordination/memory/memory.ts";
import type { Coordination } from "../../src/coordination/ports.ts";
import { completeJob, confirmCancelled, failJob, fence, snooze } from "../../src/jobs/attempt-writes.ts";
import { readyHints } from "../../src/jobs/ready.ts";
import { JOB_TYPES, type JobId, type PublishManifest } from "../../src/jobs/types.ts";
import { makeMetrics } from "../../src/telemetry/metrics.ts";
import { makeTracer } from "../../src/telemetry/tracer.ts";
import { manifestOf, type TestDatabase } from "../faults/protocol-harness.ts";
import { sampleCapabilities, sampleLimits } from "../support/capabilities.ts";
import { afterFile } from "../support/cleanup.ts";
import { silentLogger } from "../support/silent-logger.ts";

/** Attempts of one worker: which run, and how to end them. */
export interface Attempts {
  readonly logic: AttemptLogic;
  /** Ids of the jobs that are being encoded right now. */
  readonly running: Map<JobId, { finish(): void; fail(error: unknown): void }>;
  /** How many have started. */
  started(): number;
  /** The most that ran at once. */
  most(): number;
}

const FAILURE = { kind: "ffmpeg.failed", message: "", retryable: true, evidence: null, hint: null } as const;

export function fakeAttempts({ sql }: TestDatabase, immediate: boolean): Attempts {
  const running: Attempts["running"] = new Map();
  let started = 0;
  let most = 0;
  const at = <T>(work: (context: AttemptContext, signal: AbortSignal) => Promise<T>) =>
    fromPromise<T, AttemptContext>(({ input, signal }) => work(input, signal));
  const nothing = at(async () => ({ held: true, value: [] }));
  const held = async (happened: Promise<boolean>) => ((await happened) ? { held: true, value: null } : { held: false });
  const encode = at(async ({ claim: { lease } }, signal) => {
    started += 1;
    const gate = Promise.withResolvers<void>();
    running.set(lease.jobId, { finish: gate.resolve, fail: gate.reject });
    most = Math.max(most, running.size);
    signal.addEventListener("abort", () => gate.reject(signal.reason), { once: true });
    if (immediate) gate.resolve();
    try {
      await gate.promise;
    } finally {
      running.delete(lease.jobId);
    }
    return { held: true, value: { wallMs: 1, cpuMs: 1, loudness: [] } };
  });
  const retry = { retry: "backoff" } as const;
  const policy = { maxAttempts: 3 };
  const actors = {
    ...{ download: nothing, probe: nothing, plan: nothing, verify: nothing, encode },
    upload: at(async ({ claim: { lease } }) => ({ held: true, value: manifestOf(lease, [`${lease.jobId}.mp4`]) })),
    fence: at(async ({ claim, manifest }): Promise<FenceOutcome> => {
      const outcome = await fence(sql, claim.lease, manifest as PublishManifest, 60_000);
      return { outcome: typeof outcome === "string" ? outcome : "wait" };
    }),
    publish: at(async ({ claim, manifest }) => {
      const outputs = (manifest as PublishManifest).steps.map(({ ordinal }) => ({ ordinal, identity: "it" }));
      return { outcome: (await completeJob(sql, claim.lease, { outputs })) ? "completed" : "lost" };
    }),
    cancel: at(async ({ claim }) => held(confirmCancelled(sql, claim.lease))),
    snooze: at(async ({ claim }) => held(snooze(sql, claim.lease))),
    fail: at(async ({ claim }) => failJob(sql, claim.lease, { ...FAILURE, ...retry }, policy)),
    abandon: at(async () => {}),
  };
  const logic = attemptMachine.provide({ actors: actors as never }) as AttemptLogic;
  return { logic, running, started: () => started, most: () => most };
}

export interface TestWorker {
  readonly attempts: Attempts;
  readonly coordination: Coordination;
  readonly ended: Promise<unknown>;
  /** Of its actors, its attempts' included. */
  children(): number;
  workerId(): string;
  state(): string;
  send(event: { type: "drain" }): void;
  drain(): Promise<unknown>;
  /** Tells it of every job that is ready, as a submission or the reconciler does. */
  hint(): Promise<void>;
}

export interface WorkerOptions extends Partial<WorkerPorts> {
  readonly slots?: number;
  readonly immediate?: boolean;
}

export function startWorker(database: TestDatabase, options: WorkerOptions = {}): TestWorker {
  const { slots = 2, immediate = false, ...overrides } = options;
  const coordination = overrides.coordination ?? makeMemoryCoordination();
  const attempts = fakeAttempts(database, immediate);
  const logic = makeWorkerLogic({
    ...{
      sql: database.sql,
      coordination,
      logger: silentLogger(),
      metrics: makeMetrics(),
      tracer: makeTracer({ sink: null }),
    },
    ...{ attempt: attempts.logic, role: "combined", version: "test", capabilities: sampleCapabilities(5) },
    ...{ kinds: () => [], limits: sampleLimits, processors: makeProcessors(2, "auto") },
    ...{ jobTypes: JOB_TYPES, priorities: ["high", "normal", "low"], leaseTtlMs: 60_000 },
    // Neither happens by itself unless a test asks for it.
    ...{ tickIntervalMs: 3_600_000, reapAfterTicks: 3, drainTimeoutMs: 60_000, pollIntervalMs: 3_600_000 },
    ...overrides,
  });
  const actor = spawnRoot(logic, { id: "worker", input: { slots }, logger: silentLogger() });
  const ended = toPromise(actor);
  ended.catch(() => {});
  afterFile(() => {
    actor.stop();
  });
  return {
    ...{ attempts, coordination, ended },
    children: () => Object.keys(actor.getSnapshot().children).length,
    workerId: () => String(actor.getSnapshot().context.workerId),
    state: () => String(actor.getSnapshot().value),
    send: (event) => actor.send(event),
    drain() {
      actor.send({ type: "drain" });
      return ended;
    },
    hint: async () => coordination.readyQueue.add(await readyHints(database.sql, { limit: 1_000 })),
  };
}
