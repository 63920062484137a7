/**
 * What runs in the simulation: workers, attempts, the sweeper and deletions, as generators that send one operation at a
 * time and get its reply, or the news that nobody knows whether it happened.
 */
import { reconcileHeld } from "../../src/jobs/liveness-rules.ts";
import type { Lease, PublishedOutput, PublishManifest, PublishStep } from "../../src/jobs/types.ts";
import type { SettledState, StagedBytes } from "../../src/storage/port.ts";
import { stepOf } from "./protocol-harness.ts";
import type { ClaimedJob, HeldLease, Maybe, Rows, StagingRow } from "./simulation-rows.ts";
import type { MemoryStore } from "./simulation-store.ts";

/** The reply never came: the operation happened, or will happen later, or never. */
export const UNKNOWN = Symbol("unknown");

export interface Op {
  readonly name: string;
  readonly run: () => Maybe<unknown>;
}

export type Process = Generator<Op, void, unknown>;

/** Rules that attempts keep. */
export type ProcessRule = "abort first" | "read the row" | "intent first" | "kill what is lost" | "give back";

export interface WorkerState {
  readonly id: string;
  readonly running: Map<string, RunningAttempt>;
  readonly slots: number;
}

export interface RunningAttempt {
  readonly lease: Lease;
  cancelSeen: boolean;
}

/** What a process may do: rows and store with the world watching, dice, and starting further processes. */
export interface Surroundings {
  readonly rows: Rows;
  readonly store: MemoryStore;
  readonly off: ReadonlySet<ProcessRule>;
  chance(probability: number): boolean;
  keysOf(jobId: string): readonly string[];
  startAttempt(worker: WorkerState, attempt: RunningAttempt, process: Process): void;
  killAttempt(worker: WorkerState, lease: Lease): void;
  startCleanup(worker: WorkerState, lease: Lease): void;
  /** Whether a process or a late operation of this attempt may still touch its staging: the sweeper's grace. */
  mayStillUpload(row: StagingRow): boolean;
  /** Aborts an upload that could not be published in time: the one way in which an attempt may lose an output. */
  giveUp(staged: StagedBytes): void;
  violation(text: string): void;
}

function* ask<T>(name: string, run: () => Maybe<T>): Generator<Op, T | typeof UNKNOWN, unknown> {
  return (yield { name, run }) as T | typeof UNKNOWN;
}

/** Repeats what may be repeated until its outcome is known. */
function* settle<T>(name: string, run: () => Maybe<T>): Generator<Op, T, unknown> {
  for (;;) {
    const answer = yield* ask(name, run);
    if (answer !== UNKNOWN) return answer as T;
  }
}

export function* worker(world: Surroundings, state: WorkerState): Process {
  yield* settle("register", () => world.rows.register(state.id));
  for (;;) {
    const running = [...state.running.values()].map((attempt) => attempt.lease);
    const held = yield* ask<readonly HeldLease[]>("heartbeat", () => world.rows.heartbeat(state.id));
    if (held !== UNKNOWN) yield* reconcile(world, state, held, running);
    if (state.running.size >= state.slots) continue;
    const claim = yield* ask<ClaimedJob | null>("claim", () => world.rows.claim(state.id));
    if (claim === UNKNOWN || claim === null) continue;
    const attempt: RunningAttempt = { lease: claim.lease, cancelSeen: false };
    world.startAttempt(state, attempt, runAttempt(world, state, attempt, claim.manifest));
  }
}

function* reconcile(
  world: Surroundings,
  state: WorkerState,
  held: readonly HeldLease[],
  running: readonly Lease[],
): Process {
  for (const lease of held) {
    const attempt = state.running.get(lease.jobId);
    if (lease.cancelRequested && attempt?.lease.leaseToken === lease.leaseToken) attempt.cancelSeen = true;
  }
  const { giveBack, kill } = reconcileHeld(held, running, world.off.has("give back"));
  for (const { jobId, leaseToken } of kill) {
    const lease: Lease = { jobId, leaseToken, workerId: state.id as Lease["workerId"] };
    if (state.running.get(jobId)?.lease.leaseToken !== leaseToken || world.off.has("kill what is lost")) continue;
    world.killAttempt(state, lease);
    world.startCleanup(state, lease);
  }
  for (const { jobId, leaseToken } of giveBack) {
    const lease: Lease = { jobId, leaseToken, workerId: state.id as Lease["workerId"] };
    yield* ask("give back", () => world.rows.giveBack(lease));
  }
}

const STAGES_BEFORE_UPLOAD = ["probing", "encoding", "verifying", "uploading"] as const;

function* runAttempt(
  world: Surroundings,
  state: WorkerState,
  attempt: RunningAttempt,
  found: PublishManifest | null,
): Process {
  const { lease } = attempt;
  const manifest = found ?? (yield* prepare(world, attempt));
  const ended = manifest !== null && (yield* publish(world, lease, manifest));
  state.running.delete(lease.jobId);
  if (!ended || found === null) yield* cleanUp(world, lease);
}

/** Everything up to the fence. Null: the attempt is over. */
function* prepare(world: Surroundings, attempt: RunningAttempt): Generator<Op, PublishManifest | null, unknown> {
  const { rows } = world;
  const { lease } = attempt;
  for (const stage of STAGES_BEFORE_UPLOAD) {
    if (!(yield* settle("stage", () => rows.stage(lease, stage)))) return null;
    if (yield* endedEarly(world, attempt)) return null;
  }
  const steps: PublishStep[] = [];
  for (const [ordinal, key] of world.keysOf(lease.jobId).entries()) {
    const intent = [{ backend: "local", key }];
    if (!world.off.has("intent first") && !(yield* settle("intent", () => rows.staging(lease, intent)))) return null;
    const staged = yield* ask<StagedBytes>("upload", () => world.store.stage(key, lease));
    if (staged === UNKNOWN) {
      yield* settle("fail", () => rows.fail(lease, true));
      return null;
    }
    if (!(yield* settle("staged", () => rows.staging(lease, [staged])))) return null;
    steps.push({ ...stepOf(lease, ordinal, key), staged });
  }
  return yield* passFence(world, attempt, {
    leaseToken: lease.leaseToken,
    steps,
    results: null,
    metrics: {},
    warnings: [],
  });
}

/** A cancel that was seen, or one of the ways in which encoding ends. */
function* endedEarly(world: Surroundings, attempt: RunningAttempt): Generator<Op, boolean, unknown> {
  const { rows } = world;
  const { lease } = attempt;
  if (attempt.cancelSeen) {
    yield* settle("confirm cancelled", () => rows.confirmCancelled(lease));
    return true;
  }
  if (world.chance(0.03)) {
    yield* settle("fail", () => rows.fail(lease, !world.chance(0.3)));
    return true;
  }
  if (world.chance(0.02)) {
    yield* settle("snooze", () => rows.snooze(lease));
    return true;
  }
  return false;
}

function* passFence(
  world: Surroundings,
  attempt: RunningAttempt,
  manifest: PublishManifest,
): Generator<Op, PublishManifest | null, unknown> {
  const { rows } = world;
  const { lease } = attempt;
  const overdue = world.chance(0.1);
  for (;;) {
    const sent = yield* ask("fence", () => rows.fence(lease, manifest, overdue));
    let answer: string | typeof UNKNOWN = sent;
    if (sent === UNKNOWN) {
      if (world.off.has("read the row")) {
        for (const step of manifest.steps) yield* settle("abort", () => world.store.abort(step.staged));
        return null;
      }
      answer = yield* settle("read the fence", () => rows.readFence(lease));
    }
    if (answer === "fenced") return manifest;
    if (answer === "lost") return null;
    if (answer === "cancel_requested") {
      yield* settle("confirm cancelled", () => rows.confirmCancelled(lease));
      return null;
    }
    if (attempt.cancelSeen) continue;
    if (world.chance(0.05)) {
      yield* settle("snooze", () => rows.snooze(lease));
      return null;
    }
  }
}

/** From the manifest to the commit. False: the job stays to be rolled forward, or is another's by now. */
function* publish(world: Surroundings, lease: Lease, manifest: PublishManifest): Generator<Op, boolean, unknown> {
  const { rows, store } = world;
  for (let round = 0; round < 2; round += 1) {
    // A store that does not answer is asked again in the next round; the publication may land much later.
    for (const step of manifest.steps) yield* ask("publish", () => store.publish(step.staged));
    const outputs = yield* look(world, manifest);
    if (outputs !== null) return yield* settle("complete", () => rows.complete(lease, outputs));
  }
  if (!(yield* settle("is it overdue", () => rows.publishOverdue(lease)))) {
    yield* settle("fail", () => rows.fail(lease, true));
    return false;
  }
  if (!world.off.has("abort first")) {
    for (const step of manifest.steps) yield* settle("give up", () => world.giveUp(step.staged));
  }
  const outputs = yield* look(world, manifest);
  if (outputs !== null) return yield* settle("complete", () => rows.complete(lease, outputs));
  yield* settle("give publishing up", () => rows.failPublishing(lease));
  return false;
}

/** Every output's identity, or null when one is missing. */
function* look(world: Surroundings, manifest: PublishManifest): Generator<Op, PublishedOutput[] | null, unknown> {
  const outputs: PublishedOutput[] = [];
  for (const step of manifest.steps) {
    const seen = yield* settle<SettledState>("look", () => world.store.settle(step.staged));
    if (seen.state !== "published") return null;
    outputs.push({ ordinal: step.ordinal, identity: seen.identity });
  }
  return outputs;
}

/** What an attempt removes when it is over. An intent without a handle is left to the sweeper: the upload may land late. */
export function* cleanUp(world: Surroundings, lease: Lease): Process {
  const own = yield* ask<readonly StagingRow[]>("own staging", () => world.rows.ownStaging(lease));
  if (own !== UNKNOWN)
    yield* remove(
      world,
      own.filter((row) => row.staged !== null),
    );
}

function* remove(world: Surroundings, staging: readonly StagingRow[]): Process {
  for (const row of staging) {
    const { staged } = row;
    yield* settle("abort", () => (staged === null ? world.store.abortOwned(row) : world.store.abort(staged)));
    yield* ask("forget", () => world.rows.forget(row));
  }
}

export function* sweeper(world: Surroundings): Process {
  const orphans = yield* ask<readonly StagingRow[]>("orphans", () => world.rows.orphans());
  if (orphans !== UNKNOWN)
    yield* remove(
      world,
      orphans.filter((row) => !world.mayStillUpload(row)),
    );
}

export function* deletion(world: Surroundings, jobId: string, takeOver: boolean): Process {
  const claimed = yield* ask("claim outputs", () => world.rows.claimDeletion(jobId, takeOver));
  if (claimed === UNKNOWN) return;
  for (const output of claimed) {
    yield* settle("delete", () => world.store.delete(output.key, output.identity));
  }
  const ordinals = claimed.map((output) => output.ordinal);
  if (ordinals.length > 0) yield* ask("outputs deleted", () => world.rows.finishDeletion(jobId, ordinals));
}
