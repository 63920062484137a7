/** What must hold in every world at every instant, checked as operations land. */
import type { Lease, PublishedOutput } from "../../src/jobs/types.ts";
import type { StagedBytes } from "../../src/storage/port.ts";
import type { JobSnapshot, Rows } from "./simulation-rows.ts";
import type { MemoryStore } from "./simulation-store.ts";

type Write = "stage" | "staging" | "fail" | "confirmCancelled" | "snooze" | "giveBack" | "complete" | "failPublishing";

export interface Watch {
  readonly rows: Rows;
  readonly store: MemoryStore;
  readonly violations: string[];
  /** Jobs of which something was visible at any time. */
  readonly everVisible: ReadonlySet<string>;
  readonly completed: ReadonlySet<string>;
}

const FREEING: ReadonlySet<Write> = new Set([
  "fail",
  "confirmCancelled",
  "snooze",
  "giveBack",
  "complete",
  "failPublishing",
]);

/** Rows and store as the processes see them: the same, with an eye on every write that is accepted. */
export function watching(inner: Rows, store: MemoryStore): Watch {
  const violations: string[] = [];
  const everVisible = new Set<string>();
  const completed = new Set<string>();
  /** job → token of who holds it, by the claims and ends that landed. */
  const holders = new Map<string, number>();

  const accepted = (write: Write, lease: Lease, answer: unknown): void => {
    if (answer === false || answer === "lost" || answer === "not_due") return;
    if (write === "complete" && completed.has(lease.jobId)) return;
    if (holders.get(lease.jobId) !== lease.leaseToken) {
      violations.push(`a late ${write} of ${lease.jobId} by token ${lease.leaseToken} was accepted`);
    }
    if (FREEING.has(write)) holders.delete(lease.jobId);
  };
  const guarded =
    <Rest extends readonly unknown[], Answer>(
      write: Write,
      run: (lease: Lease, ...rest: Rest) => Answer | Promise<Answer>,
    ) =>
    async (lease: Lease, ...rest: Rest): Promise<Answer> => {
      const answer = await run(lease, ...rest);
      accepted(write, lease, answer);
      return answer;
    };

  const rows: Rows = Object.assign(Object.create(inner) as Rows, {
    stage: guarded("stage", inner.stage.bind(inner)),
    staging: guarded("staging", inner.staging.bind(inner)),
    fail: guarded("fail", inner.fail.bind(inner)),
    failPublishing: guarded("failPublishing", inner.failPublishing.bind(inner)),
    async confirmCancelled(lease: Lease) {
      // What reaping or putting back has cancelled is confirmed to its former holder; nothing is written then.
      const before = (await inner.snapshot()).find((job) => job.id === lease.jobId);
      const answer = await inner.confirmCancelled(lease);
      if (before?.status !== "cancelled") accepted("confirmCancelled", lease, answer);
      return answer;
    },
    snooze: guarded("snooze", inner.snooze.bind(inner)),
    giveBack: guarded("giveBack", inner.giveBack.bind(inner)),
    async claim(workerId: string) {
      const claim = await inner.claim(workerId);
      if (claim === null) return null;
      const { jobId, leaseToken } = claim.lease;
      if (holders.has(jobId)) violations.push(`${jobId} was claimed while it was held`);
      holders.set(jobId, leaseToken);
      return claim;
    },
    async reap() {
      const reaped = await inner.reap();
      for (const jobId of reaped) holders.delete(jobId);
      return reaped;
    },
    async complete(lease: Lease, outputs: readonly PublishedOutput[]) {
      const answer = await inner.complete(lease, outputs);
      accepted("complete", lease, answer);
      if (answer && !completed.has(lease.jobId)) {
        completed.add(lease.jobId);
        const identities = new Set([...store.visible.values()].map((object) => object.identity));
        if (!outputs.every((output) => identities.has(output.identity))) {
          violations.push(`${lease.jobId} completed with an output that is not there`);
        }
      }
      return answer;
    },
  });

  const seen: MemoryStore = Object.assign(Object.create(store) as MemoryStore, {
    async publish(staged: StagedBytes) {
      if (store.staged.has(staged.handle)) {
        if (!(await inner.mayPublish(staged))) {
          violations.push(`${staged.key} of ${staged.jobId}, token ${staged.leaseToken}, appeared when it must not`);
        }
        everVisible.add(staged.jobId);
      }
      return store.publish(staged);
    },
    settle: (staged: StagedBytes) => store.settle(staged),
    stage: (key: string, owner: { jobId: string; leaseToken: number }) => store.stage(key, owner),
    abort: (staged: { handle: string }) => store.abort(staged),
    abortOwned: (owner: { jobId: string; leaseToken: number; key: string }) => store.abortOwned(owner),
    delete: (key: string, identity: string) => store.delete(key, identity),
  });
  return { rows: bound(rows, inner), store: seen, violations, everVisible, completed };
}

/** Methods that are only inherited run on the engine itself, whose private fields they need. */
function bound(rows: Rows, inner: Rows): Rows {
  return new Proxy(rows, {
    get(target, name: keyof Rows) {
      if (Object.hasOwn(target, name)) return target[name];
      return (inner[name] as (...args: unknown[]) => unknown).bind(inner);
    },
  });
}

const FINAL_EVENTS: ReadonlySet<string> = new Set(["job.completed", "job.failed", "job.cancelled"]);

/** What must hold of a job when the world has come to rest. */
export function judge(job: JobSnapshot, watch: Watch, spoiled: ReadonlySet<string>): string[] {
  const found: string[] = [];
  const final = job.status === "completed" || job.status === "failed" || job.status === "cancelled";
  if (!final) found.push(`${job.id} came to rest ${job.status}`);
  job.events.forEach((event, index) => {
    if (event.seq !== index + 1) found.push(`${job.id} has a gap before event ${event.seq}`);
  });
  const ends = job.events.filter((event) => FINAL_EVENTS.has(event.type));
  if (final && (ends.length !== 1 || ends[0]?.type !== `job.${job.status}`)) {
    found.push(`${job.id} is ${job.status} with the end events ${ends.map((event) => event.type).join(", ")}`);
  }
  const starts = job.events.filter((event) => event.type === "job.started").length;
  if (starts !== job.attempts) found.push(`${job.id} counts ${job.attempts} attempts and started ${starts} times`);
  const gaveUp = job.status === "failed" && job.errorKind === "job.publish_timeout";
  if (gaveUp && !spoiled.has(job.id)) found.push(`${job.id} lost an upload that somebody else removed`);
  if (job.status !== "completed" && !gaveUp && watch.everVisible.has(job.id)) {
    found.push(`${job.id} is ${job.status} and an output of it was visible`);
  }
  return found;
}
