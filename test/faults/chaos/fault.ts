/** What a fault is, and what faults are made of. */
import { until } from "../../support/until.ts";
import type { Random } from "./random.ts";
import type { Replica, World } from "./world.ts";

/** A step that ends with everything running again. */
export type Fault = (world: World, random: Random) => Promise<void>;

/** How long a stage is waited for before a worker is killed at any moment instead. */
const AIM_MS = 1_500;

/**
 * Lets `ms` pass while the fault lasts. Not a wait: nothing relies on anything having happened meanwhile.
 */
export const last = (ms: number): Promise<void> => Bun.sleep(ms);

export const ofRole = ({ replicas }: World, role: Replica["role"]): Replica[] =>
  replicas.filter((replica) => replica.role === role && replica.server !== null);

export async function again(replica: Replica, ...how: Parameters<Replica["start"]>): Promise<void> {
  await until(() => replica.start(...how).then(() => true), { timeoutMs: 120_000, what: "a replica to start again" });
}

export interface Aimed {
  readonly replica: Replica;
  readonly jobId: string;
}

/** The worker that has a job in a stage, as soon as one is seen there; rejects when none is for a while. */
export async function aim(world: World, stage: string): Promise<Aimed> {
  const workers = await Promise.all(
    ofRole(world, "worker").map(async (replica) => ({ replica, worker: await replica.workerId() })),
  );
  return until(
    async () => {
      const [job] = await world.rows()<{ id: string; worker_id: string }[]>`
        SELECT id, worker_id FROM jobs WHERE status = 'processing' AND stage = ${stage} LIMIT 1`;
      const found = workers.find(({ worker }) => worker !== null && worker === job?.worker_id);
      return job === undefined || found === undefined ? null : { replica: found.replica, jobId: job.id };
    },
    { timeoutMs: AIM_MS, intervalMs: 2, what: `a job that is ${stage}` },
  );
}

export async function frozen(pid: number, ms: number): Promise<void> {
  process.kill(pid, "SIGSTOP");
  try {
    await last(ms);
  } finally {
    process.kill(pid, "SIGCONT");
  }
}

export const redis = (world: World, ...words: string[]): void => {
  Bun.spawnSync(["redis-cli", "-p", `${world.redis.port}`, ...words], { stdout: "ignore", stderr: "ignore" });
};
