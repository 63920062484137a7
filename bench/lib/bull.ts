/** A BullMQ queue whose worker is a process of its own. */
import { resolve } from "node:path";
import { Queue } from "bullmq";
import { Redis } from "ioredis";
import type { BullOptions } from "../workers/bullmq.ts";
import { epochMs, type Starts } from "./stand-ins.ts";

export interface Bull extends AsyncDisposable {
  /** Milliseconds from calling `add` to the first word of `program`. */
  dispatch(starts: Starts, program: string): Promise<number>;
}

export async function startBull(options: BullOptions): Promise<Bull> {
  const child = Bun.spawn([process.execPath, resolve("bench/workers/bullmq.ts"), JSON.stringify(options)], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  const reader = child.stdout.getReader();
  if ((await reader.read()).done) throw new Error("BullMQ's worker did not start.");
  reader.releaseLock();
  const connection = new Redis(options.redisUrl, { maxRetriesPerRequest: null });
  const queue = new Queue(options.queue, { connection });
  await queue.waitUntilReady();
  return {
    async dispatch(starts, program) {
      const started = starts.next(program);
      const addedAt = epochMs();
      await queue.add("job", { input: "in.mp4" }, { removeOnComplete: true });
      return (await started).atMs - addedAt;
    },
    async [Symbol.asyncDispose]() {
      await queue.close();
      connection.disconnect();
      child.kill("SIGTERM");
      await child.exited;
    },
  };
}
