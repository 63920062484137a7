/** Submits jobs through whichever replica answers, and knows which of them were acknowledged. */
import { until } from "../../support/until.ts";
import { INPUT, type World } from "./world.ts";

export interface Submitted {
  readonly id: string;
  readonly output: string;
}

const PRIORITIES = ["normal", "high", "low"] as const;
const PATIENCE_MS = 120_000;

/** The number makes the key, so a repeated request is the same job and never a second one. */
async function submitOne(world: World, number: number): Promise<Submitted> {
  const output = `out-${String(number).padStart(5, "0")}.mp4`;
  const body = {
    ...{ input: INPUT, output: world.stored.uri(output), priority: PRIORITIES[number % PRIORITIES.length] },
    operations: [{ type: "transcode", video_codec: "h264", preset: "ultrafast" }],
  };
  let tries = 0;
  const job = await until(() => world.api(number + tries++).convert(body, { "idempotency-key": `chaos-${number}` }), {
    timeoutMs: PATIENCE_MS,
    intervalMs: 200,
    what: `job ${number} to be acknowledged`,
  });
  return { id: job.id, output };
}

/** One every `everyMs`, however long each takes; all of them are acknowledged in the end. */
export async function submitAll(world: World, count: number, everyMs: number): Promise<Submitted[]> {
  const under: Promise<Submitted>[] = [];
  for (let number = 0; number < count; number++) {
    under.push(submitOne(world, number));
    // The pace of clients; nothing waits for it.
    await Bun.sleep(everyMs);
  }
  return Promise.all(under);
}
