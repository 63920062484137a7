/**
 * Freezes the worker that holds a job past its lease, lets another end the job, and lets the frozen one go on: what it
 * writes then must change nothing.
 */
import { until } from "../../support/until.ts";
import type { Submitted } from "./generator.ts";
import { makeRandom } from "./random.ts";
import { INPUT, type World } from "./world.ts";

/** Those that the row tells: the others are live only. */
const STAGES = ["encoding", "uploading", "publishing"] as const;
const END_MS = 60_000;

interface Holder {
  readonly pid: number;
  readonly attempt: number;
}

/** Whoever has the job once it has come to the stage or is past it; null when the job was quicker than the look. */
async function holderAt(world: World, id: string, stage: string): Promise<Holder | null> {
  const workers = await Promise.all(
    world.replicas.map(async (replica) => ({ pid: replica.server?.pid, worker: await replica.workerId() })),
  );
  return until(
    async () => {
      const [job] = await world.rows()<
        { worker_id: string | null; stage: string | null; attempt: number; ended: boolean }[]
      >`
        SELECT worker_id, stage, attempt, completed_at IS NOT NULL AS ended FROM jobs WHERE id = ${id}`;
      if (job?.ended) return { gone: true } as const;
      if (job?.worker_id === null || job?.stage !== stage) return null;
      const pid = workers.find(({ worker }) => worker === job.worker_id)?.pid;
      return pid === undefined ? null : { pid, attempt: job.attempt };
    },
    { timeoutMs: END_MS, intervalMs: 1, what: `job ${id} to be ${stage}` },
  ).then((found) => ("gone" in found ? null : found));
}

const sha256 = async ({ stored }: World, output: string): Promise<string> =>
  new Bun.CryptoHasher("sha256").update((await stored.read(output)) ?? "").digest("hex");

interface Cycle {
  readonly submitted: Submitted;
  /** The frozen one was overtaken: another attempt ended the job while it stood still. */
  readonly overtaken: boolean;
  readonly changed: boolean;
}

async function cycle(world: World, number: number, stage: string): Promise<Cycle> {
  const output = `frozen-${number}.mp4`;
  const body = {
    ...{ input: INPUT, output: world.stored.uri(output) },
    operations: [{ type: "transcode", video_codec: "h264", preset: "ultrafast" }],
  };
  const api = world.api(number);
  const { id } = await api.convert(body);
  const holder = await holderAt(world, id, stage);
  if (holder !== null) process.kill(holder.pid, "SIGSTOP");
  try {
    const { attempt } = await api.ended(id, END_MS);
    const before = await sha256(world, output);
    const [row] = await world.rows()<{ updated_at: string; log_seq: string }[]>`
      SELECT updated_at::text, log_seq FROM jobs WHERE id = ${id}`;
    if (holder !== null) process.kill(holder.pid, "SIGCONT");
    // Its heartbeat tells it at once what it lost; its row is asked for until that one has beaten again.
    await thawed(world);
    const [after] = await world.rows()<{ updated_at: string; log_seq: string }[]>`
      SELECT updated_at::text, log_seq FROM jobs WHERE id = ${id}`;
    const same = row?.updated_at === after?.updated_at && row?.log_seq === after?.log_seq;
    const changed = !same || (await sha256(world, output)) !== before;
    return { submitted: { id, output }, overtaken: holder !== null && attempt > holder.attempt, changed };
  } finally {
    if (holder !== null) process.kill(holder.pid, "SIGCONT");
  }
}

/** Every worker that runs has beaten within the last tick, as many as there are processes. */
async function thawed(world: World): Promise<void> {
  const count = world.replicas.filter(({ role }) => role === "worker").length;
  await until(
    async () => {
      const [row] = await world.rows()<{ alive: number }[]>`
        SELECT count(*)::int AS alive FROM workers w, liveness l WHERE w.left_at IS NULL AND w.seen_tick >= l.tick`;
      return (row?.alive ?? 0) >= count;
    },
    { timeoutMs: END_MS, what: "all workers to beat" },
  );
}

export async function freezeCycles(world: World, count: number, seed: number): Promise<readonly Cycle[]> {
  const random = makeRandom(seed);
  const cycles: Cycle[] = [];
  for (let number = 0; number < count; number++) {
    // Each once, then by the seed.
    const stage = STAGES[number] ?? random.pick(STAGES);
    cycles.push(await cycle(world, number, stage));
  }
  return cycles;
}
