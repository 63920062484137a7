/**
 * A world with a seed: workers, jobs that share output keys, an object store, and a scheduler that decides by dice which
 * operation lands next, whose reply is lost, what lands late, who dies and who freezes. The same seed is the same world.
 */
import type { Lease } from "../../src/jobs/types.ts";
import type { StagedBytes } from "../../src/storage/port.ts";
import {
  cleanUp,
  deletion,
  type Op,
  type Process,
  type ProcessRule,
  type RunningAttempt,
  type Surroundings,
  sweeper,
  UNKNOWN,
  type WorkerState,
  worker,
} from "./simulation-process.ts";
import type { Rows, StagingRow } from "./simulation-rows.ts";
import { MemoryStore } from "./simulation-store.ts";
import { judge, type Watch, watching } from "./simulation-watch.ts";

export interface WorldOptions {
  readonly seed: number;
  readonly rows: Rows;
  readonly off?: readonly ProcessRule[];
  readonly consuming?: boolean;
  readonly jobs?: number;
  readonly steps?: number;
  /** Names jobs and workers. */
  readonly makeId: (name: string) => string;
}

interface Running {
  readonly process: Process;
  /** Null: of the reconciler, which does not freeze with a worker. */
  readonly worker: WorkerState | null;
  readonly lease: Lease | null;
  /** What was sent and has neither landed nor been given up. */
  pending: Op | null;
}

interface Late {
  readonly op: Op;
  readonly lease: Lease | null;
}

const WORKERS = 3;
const REST_ROUNDS_MAX = 400;

function dice(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export class World implements Surroundings {
  readonly rows: Rows;
  readonly store: MemoryStore;
  readonly off: ReadonlySet<ProcessRule>;
  readonly #options: WorldOptions;
  readonly #watch: Watch;
  readonly #real: MemoryStore;
  readonly #roll: () => number;
  readonly #jobs: string[] = [];
  readonly #keys = new Map<string, readonly string[]>();
  readonly #workers: WorkerState[] = [];
  readonly #frozen = new Set<WorkerState>();
  /** Jobs that lost an upload through nobody's mistake. */
  readonly #spoiled = new Set<string>();
  #running: Running[] = [];
  #late: Late[] = [];
  #born = 0;
  #quiet = false;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.off = new Set(options.off ?? []);
    this.#real = new MemoryStore(options.consuming ?? true);
    this.#watch = watching(options.rows, this.#real);
    this.rows = this.#watch.rows;
    this.store = this.#watch.store;
    this.#roll = dice(options.seed);
  }

  chance(probability: number): boolean {
    return this.#roll() < probability;
  }

  #pick<T>(items: readonly T[]): T | undefined {
    return items[Math.floor(this.#roll() * items.length)];
  }

  keysOf(jobId: string): readonly string[] {
    return this.#keys.get(jobId) ?? [];
  }

  giveUp(staged: StagedBytes): void {
    if (this.#real.staged.has(staged.handle)) this.#spoiled.add(staged.jobId);
    this.#real.abort(staged);
  }

  violation(text: string): void {
    this.#watch.violations.push(text);
  }

  startAttempt(owner: WorkerState, attempt: RunningAttempt, process: Process): void {
    owner.running.set(attempt.lease.jobId, attempt);
    this.#running.push({ process, worker: owner, lease: attempt.lease, pending: null });
  }

  killAttempt(owner: WorkerState, lease: Lease): void {
    owner.running.delete(lease.jobId);
    this.#end(
      (running) =>
        running.worker === owner &&
        running.lease?.leaseToken === lease.leaseToken &&
        running.lease.jobId === lease.jobId,
    );
  }

  startCleanup(owner: WorkerState, lease: Lease): void {
    this.#running.push({ process: cleanUp(this, lease), worker: owner, lease, pending: null });
  }

  mayStillUpload(row: StagingRow): boolean {
    const same = ({ lease }: { lease: Lease | null }): boolean =>
      lease !== null && lease.jobId === row.jobId && lease.leaseToken === row.leaseToken;
    return this.#running.some(same) || this.#late.some(same);
  }

  /** Ends processes; what they have sent may still land. */
  #end(which: (running: Running) => boolean): void {
    const ending = this.#running.filter(which);
    this.#running = this.#running.filter((running) => !which(running));
    for (const { pending, lease } of ending) if (pending !== null) this.#late.push({ op: pending, lease });
  }

  #startWorker(): void {
    this.#born += 1;
    const state: WorkerState = { id: this.#options.makeId(`worker ${this.#born}`), running: new Map(), slots: 2 };
    this.#workers.push(state);
    this.#running.push({ process: worker(this, state), worker: state, lease: null, pending: null });
  }

  #killWorker(state: WorkerState): void {
    this.#workers.splice(this.#workers.indexOf(state), 1);
    this.#frozen.delete(state);
    this.#end((running) => running.worker === state);
  }

  /** Runs the world and brings it to rest. Returns what went wrong. */
  async run(): Promise<readonly string[]> {
    for (let job = 0; job < (this.#options.jobs ?? 4); job += 1) {
      const jobId = this.#options.makeId(`job ${job}`);
      this.#jobs.push(jobId);
      const keys = ["a", "b", "c"].filter(() => this.chance(0.5));
      this.#keys.set(jobId, keys.length === 0 ? ["a"] : this.chance(0.5) ? keys : keys.reverse());
      await this.rows.submit(jobId);
    }
    for (let count = 0; count < WORKERS; count += 1) this.#startWorker();
    for (let step = 0; step < (this.#options.steps ?? 260); step += 1) {
      await this.#step();
      if (this.#watch.violations.length > 0) return this.#watch.violations;
    }
    await this.#rest();
    return this.#watch.violations;
  }

  async #step(): Promise<void> {
    const roll = this.#roll();
    if (roll < 0.8) return this.#advance();
    if (roll < 0.86) return void (await this.rows.tick());
    if (roll < 0.9) return void (await this.rows.reap());
    if (roll < 0.93) return this.#landLate();
    if (roll < 0.95) return this.#freezeOrThaw();
    if (roll < 0.96) return this.#crash();
    if (roll < 0.97) return void (await this.rows.cancel(this.#pick(this.#jobs) as string));
    if (roll < 0.98) return this.#start(sweeper(this));
    if (roll < 0.99) return this.#deleteOrExpire();
    return void (await this.rows.passTime());
  }

  #start(process: Process): void {
    this.#running.push({ process, worker: null, lease: null, pending: null });
  }

  #freezeOrThaw(): void {
    const state = this.#pick(this.#workers);
    if (state === undefined) return;
    if (!this.#frozen.delete(state)) this.#frozen.add(state);
  }

  #crash(): void {
    const state = this.#pick(this.#workers);
    if (state !== undefined) this.#killWorker(state);
    this.#startWorker();
  }

  #deleteOrExpire(): void {
    if (this.chance(0.6)) {
      const jobId = this.#pick([...this.#watch.completed]);
      if (jobId !== undefined) this.#start(deletion(this, jobId, false));
      return;
    }
    // A bucket's lifecycle rule aborts an upload.
    const staged = this.#pick([...this.#real.staged.values()]);
    if (staged !== undefined && this.chance(0.5)) this.giveUp(staged);
  }

  /** One process sends, or what it sent lands, is lost on the way, or is given up and may land later. */
  async #advance(): Promise<void> {
    const awake = this.#running.filter(({ worker: owner }) => owner === null || !this.#frozen.has(owner));
    const running = this.#pick(awake);
    if (running === undefined) return;
    const op = running.pending;
    if (op === null) return this.#resume(running, undefined);
    const fate = this.#quiet ? 0 : this.#roll();
    if (fate > 0.96) {
      this.#late.push({ op, lease: running.lease });
      return this.#resume(running, UNKNOWN);
    }
    if (fate > 0.93) return this.#resume(running, UNKNOWN);
    const answer = await this.#land(op);
    return this.#resume(running, fate > 0.88 ? UNKNOWN : answer);
  }

  async #land(op: Op): Promise<unknown> {
    return await op.run();
  }

  #resume(running: Running, answer: unknown): void {
    running.pending = null;
    const next = running.process.next(answer);
    if (next.done === true) this.#running.splice(this.#running.indexOf(running), 1);
    else running.pending = next.value;
  }

  async #landLate(): Promise<void> {
    const late = this.#pick(this.#late);
    if (late === undefined) return;
    this.#late.splice(this.#late.indexOf(late), 1);
    await this.#land(late.op);
  }

  /** No more faults: everything late lands, everyone thaws, and every job has to come to its end. */
  async #rest(): Promise<void> {
    this.#quiet = true;
    this.#frozen.clear();
    for (let round = 0; round < REST_ROUNDS_MAX; round += 1) {
      for (let step = 0; step < 25; step += 1) await this.#advance();
      await this.#landLate();
      await this.rows.tick();
      // Every worker that lives gets its word in between two ticks.
      for (const state of this.#workers) await this.rows.heartbeat(state.id);
      await this.rows.reap();
      await this.rows.passTime();
      if (round > 20) await this.rows.expirePublishing();
      if (this.#watch.violations.length > 0) return;
      if (round % 5 === 4) {
        if (await this.#atRest()) return this.#judge();
        await this.#reconcile();
      }
    }
    return this.#judge();
  }

  /** What the reconciler does in every round: a deletion that was cut off keeps a key for which another job waits. */
  async #reconcile(): Promise<void> {
    if (this.#late.length > 0 || this.#running.some((running) => running.worker === null)) return;
    for (const jobId of await this.rows.interruptedDeletions()) this.#start(deletion(this, jobId, true));
    if ((await this.rows.leftovers()) > 0) this.#start(sweeper(this));
  }

  async #atRest(): Promise<boolean> {
    if (this.#late.length > 0 || this.#running.some((running) => running.lease !== null)) return false;
    const jobs = await this.rows.snapshot();
    if (jobs.some((job) => !["completed", "failed", "cancelled"].includes(job.status))) return false;
    return (await this.rows.leftovers()) === 0;
  }

  async #judge(): Promise<void> {
    for (const job of await this.rows.snapshot())
      this.#watch.violations.push(...judge(job, this.#watch, this.#spoiled));
    const left = await this.rows.leftovers();
    if (left > 0) this.violation(`${left} staging rows and claims are left`);
    if (this.#real.staged.size > 0) this.violation(`${this.#real.staged.size} uploads are left`);
  }
}
