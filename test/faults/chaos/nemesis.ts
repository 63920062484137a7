/** The faults, each a step that ends with everything running again, and the order in which a seed lets them happen. */
import { until } from "../../support/until.ts";
import { makeRandom, type Random } from "./random.ts";
import { type Replica, untilRows, type World } from "./world.ts";

export type Fault = (world: World, random: Random) => Promise<void>;

const STAGES = ["downloading", "encoding", "uploading", "publishing"] as const;
/** How long a stage is waited for before a worker is killed at any moment instead. */
const AIM_MS = 1_500;

/**
 * Lets `ms` pass while the fault lasts. Not a wait: nothing relies on anything having happened meanwhile.
 */
const last = (ms: number): Promise<void> => Bun.sleep(ms);

const ofRole = ({ replicas }: World, role: Replica["role"]): Replica[] =>
  replicas.filter((replica) => replica.role === role && replica.server !== null);

async function again(replica: Replica): Promise<void> {
  await until(() => replica.start().then(() => true), { timeoutMs: 120_000, what: "a replica to start again" });
}

/** Kill -9 of the worker that has a job in a stage, as soon as one is seen there. */
function killAt(stage: (typeof STAGES)[number]): Fault {
  return async (world, random) => {
    const victim = await aim(world, stage).catch(() => random.pick(ofRole(world, "worker")));
    await victim.kill();
    await again(victim);
  };
}

async function aim(world: World, stage: string): Promise<Replica> {
  const workers = await Promise.all(
    ofRole(world, "worker").map(async (replica) => ({ replica, id: await replica.workerId() })),
  );
  return until(
    async () => {
      const [job] = await world.rows()<{ worker_id: string }[]>`
        SELECT worker_id FROM jobs WHERE status = 'processing' AND stage = ${stage} LIMIT 1`;
      return workers.find(({ id }) => id !== null && id === job?.worker_id)?.replica;
    },
    { timeoutMs: AIM_MS, intervalMs: 2, what: `a job that is ${stage}` },
  );
}

async function frozen(pid: number, ms: number): Promise<void> {
  process.kill(pid, "SIGSTOP");
  try {
    await last(ms);
  } finally {
    process.kill(pid, "SIGCONT");
  }
}

const redis = (world: World, ...words: string[]): void => {
  Bun.spawnSync(["redis-cli", "-p", `${world.redis.port}`, ...words], { stdout: "ignore", stderr: "ignore" });
};

export const FAULTS: Readonly<Record<string, Fault>> = {
  ...Object.fromEntries(STAGES.map((stage) => [`a worker killed while ${stage}`, killAt(stage)])),
  "an API replica killed": async (world, random) => {
    const victim = random.pick(ofRole(world, "api"));
    await victim.kill();
    await again(victim);
  },
  "a worker told to end": async (world, random) => {
    const victim = random.pick(ofRole(world, "worker"));
    const code = await victim.stop();
    if (code !== 0) throw new Error(`A worker that was told to end did so with ${code}.`);
    await again(victim);
  },
  "a worker frozen past its lease": async (world, random) => {
    const victim = random.pick(ofRole(world, "worker"));
    if (victim.server !== null) await frozen(victim.server.pid, world.leaseTtlMs * 2);
  },
  "Redis flushed": async (world) => redis(world, "FLUSHALL"),
  "Redis killed": async (world, random) => {
    await world.redis.crash();
    await last(random.int(1_000));
    await world.redis.restart();
  },
  "Redis gone for longer than the lease": async (world) => {
    await world.redis.crash();
    await last(world.leaseTtlMs * 1.5);
    await world.redis.restart();
  },
  "Redis frozen": (world) => frozen(world.redis.pid, 2_000),
  "Postgres restarted at once": async (world) => {
    process.kill(world.database.pid, "SIGQUIT");
    await world.database.stop();
    await world.database.restart();
    await untilRows(world);
  },
  "every connection to Postgres ended": async (world) => {
    for (let round = 0; round < 3; round++) {
      await world.rows()`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'`.catch(() => []);
      await last(100);
    }
    await untilRows(world);
  },
};

export interface Fired {
  readonly fault: string;
  readonly atMs: number;
}

/** Each kind once in an order of the seed's, then as they come, until `enough` says so. Never two at a time. */
export async function rage(world: World, seed: number, enough: () => boolean, pauseMs: number): Promise<Fired[]> {
  const random = makeRandom(seed);
  const due = Object.keys(FAULTS);
  const fired: Fired[] = [];
  while (due.length > 0 || !enough()) {
    const fault = due.length > 0 ? (due.splice(random.int(due.length), 1)[0] ?? "") : random.pick(Object.keys(FAULTS));
    fired.push({ fault, atMs: performance.now() });
    await FAULTS[fault]?.(world, random);
    await last(random.int(pauseMs));
  }
  return fired;
}
