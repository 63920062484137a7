/** The peer: a BullMQ worker that says when its processor was called, or starts the same two programs as Rendiff does. */
import { closeSync, openSync, writeSync } from "node:fs";
import { Worker } from "bullmq";
import { Redis } from "ioredis";

export interface BullOptions {
  readonly redisUrl: string;
  readonly queue: string;
  readonly pipe: string;
  /** To be run one after the other; none: the processor itself writes to the pipe. */
  readonly programs: readonly string[];
}

const { redisUrl, queue, pipe, programs } = JSON.parse(process.argv[2] ?? "") as BullOptions;
const connection = new Redis(redisUrl, { maxRetriesPerRequest: null });
const sink = openSync(pipe, "w");
const worker = new Worker(
  queue,
  async () => {
    if (programs.length === 0) writeSync(sink, "processor\n");
    for (const program of programs) {
      await Bun.spawn([program], { stdin: "ignore", stdout: "pipe", stderr: "ignore" }).exited;
    }
  },
  { connection, concurrency: 2 },
);
worker.on("error", (error) => console.error(error));
await worker.waitUntilReady();
console.log("ready");
process.on("SIGTERM", async () => {
  await worker.close();
  connection.disconnect();
  closeSync(sink);
  process.exit(0);
});
