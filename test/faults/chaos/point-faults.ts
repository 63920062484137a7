/** Kill -9 at points that a job passes in a moment: it is held there, from outside, until the process is dead. */

import { until } from "../../support/until.ts";
import { type Aimed, again, aim, type Fault, ofRole } from "./fault.ts";
import { INPUT, type World } from "./world.ts";

const STAGES = ["downloading", "encoding", "uploading", "publishing"] as const;
const HELD_MS = 3_000;

/** Kill -9 of the worker that has a job in a stage, as soon as one is seen there. */
function killAt(stage: (typeof STAGES)[number]): Fault {
  return async (world, random) => {
    const aimed = await aim(world, stage).catch(() => null);
    const victim = aimed?.replica ?? random.pick(ofRole(world, "worker"));
    await victim.kill();
    await again(victim);
  };
}

/** A statement that waits for the row of a job, which somebody else has locked. */
const waitsForRow = async (world: World): Promise<boolean> => {
  const [row] = await world.rows()<{ waiting: boolean }[]>`SELECT EXISTS (SELECT FROM pg_stat_activity
    WHERE application_name LIKE 'rendiff%' AND wait_event_type = 'Lock') AS waiting`;
  return row?.waiting === true;
};

/** Holds the row of a job that is in `stage`, so that the next write of its attempt waits, and kills the worker then. */
function killBeforeWrite(stage: (typeof STAGES)[number]): Fault {
  return async (world, random) => {
    const aimed: Aimed | null = await aim(world, stage).catch(() => null);
    const victim = aimed?.replica ?? random.pick(ofRole(world, "worker"));
    if (aimed === null) await victim.kill();
    else
      await world.rows().begin(async (tx) => {
        await tx`SELECT FROM jobs WHERE id = ${aimed.jobId} FOR UPDATE`;
        await until(() => waitsForRow(world), { timeoutMs: HELD_MS, intervalMs: 2 }).catch(() => {});
        await victim.kill();
      });
    await again(victim);
  };
}

/** The row is there and Redis, which stands still, has heard of nothing: kill -9 of the API replica in between. */
const killBeforeHint: Fault = async (world, random) => {
  const victim = random.pick(ofRole(world, "api"));
  const marker = Bun.randomUUIDv7();
  const body = {
    ...{ input: INPUT, output: world.stored.uri(`unheard/${marker}.mp4`), metadata: { marker } },
    operations: [{ type: "transcode", video_codec: "h264", preset: "ultrafast" }],
  };
  process.kill(world.redis.pid, "SIGSTOP");
  try {
    const number = ofRole(world, "api").indexOf(victim);
    const asked = world.api(number).convert(body);
    asked.catch(() => {});
    const stored = async (): Promise<boolean> => {
      const rows = await world.rows()`SELECT FROM jobs WHERE metadata ->> 'marker' = ${marker}`;
      return rows.length > 0;
    };
    await until(stored, { timeoutMs: HELD_MS, intervalMs: 1 }).catch(() => {});
    await victim.kill();
  } finally {
    process.kill(world.redis.pid, "SIGCONT");
  }
  await again(victim);
};

export const POINT_FAULTS: Readonly<Record<string, Fault>> = {
  ...Object.fromEntries(STAGES.map((stage) => [`a worker killed while ${stage}`, killAt(stage)])),
  "a worker killed before the fence": killBeforeWrite("uploading"),
  "a worker killed before it says done": killBeforeWrite("publishing"),
  "an API replica killed between the row and the hint": killBeforeHint,
};
