/** A line to a server on this machine that carries so many bytes a second towards it, all connections together. */
import { type AddressInfo, connect, createServer } from "node:net";

export interface PacedRelay extends AsyncDisposable {
  readonly url: string;
}

const CHUNK_BYTES = 64 * 1024;
/** What timers are late by on a busy machine is made up for; a line that stood idle longer has lost its time. */
const LATE_MS = 50;

export async function startPacedRelay(toPort: number, bytesPerSecond: number): Promise<PacedRelay> {
  /** When the line is free again, by `performance.now()`. */
  let freeAtMs = 0;
  const server = createServer({ allowHalfOpen: true }, async (client) => {
    const upstream = connect(toPort, "127.0.0.1");
    client.on("error", () => upstream.destroy());
    upstream.on("error", () => client.destroy());
    upstream.on("close", () => client.destroy());
    upstream.pipe(client);
    try {
      for await (const data of client as AsyncIterable<Buffer>) {
        for (let at = 0; at < data.length; at += CHUNK_BYTES) {
          const part = data.subarray(at, at + CHUNK_BYTES);
          freeAtMs = Math.max(freeAtMs, performance.now() - LATE_MS) + (part.length / bytesPerSecond) * 1000;
          const waitMs = freeAtMs - performance.now();
          if (waitMs > 1) await Bun.sleep(waitMs);
          if (!upstream.write(part)) await new Promise<void>((resolve) => upstream.once("drain", resolve));
        }
      }
      upstream.end();
    } catch {
      upstream.destroy();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}
