/**
 * Posts one body over so many connections, each one request at a time. It speaks just enough HTTP itself: a client that
 * does more would take the server's CPU on a small machine, and be measured with it.
 */
import { generate } from "../lib/load.ts";

export interface PostOptions {
  readonly port: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly loops: number;
  readonly durationMs: number;
}

const options = JSON.parse(process.argv[2] ?? "") as PostOptions;
const headers = Object.entries({
  host: `127.0.0.1:${options.port}`,
  "content-length": `${Buffer.byteLength(options.body)}`,
  ...options.headers,
}).map(([name, value]) => `${name}: ${value}\r\n`);
const message = Buffer.from(`POST ${options.path} HTTP/1.1\r\n${headers.join("")}\r\n${options.body}`);

interface Waiting {
  buffer: Buffer;
  answered: PromiseWithResolvers<void> | null;
}

/** Ends the wait once a whole answer of 201 is here. */
function take(waiting: Waiting, bytes: Buffer): void {
  waiting.buffer = waiting.buffer.length === 0 ? Buffer.from(bytes) : Buffer.concat([waiting.buffer, bytes]);
  const end = waiting.buffer.indexOf("\r\n\r\n");
  if (end === -1) return;
  const head = waiting.buffer.toString("latin1", 0, end);
  const length = Number(/content-length: *(\d+)/i.exec(head)?.[1]);
  if (waiting.buffer.length < end + 4 + length) return;
  const { answered } = waiting;
  waiting.answered = null;
  if (head.startsWith("HTTP/1.1 201 ")) answered?.resolve();
  else answered?.reject(new Error(waiting.buffer.toString()));
  waiting.buffer = Buffer.alloc(0);
}

const open = async () => {
  const waiting: Waiting = { buffer: Buffer.alloc(0), answered: null };
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port: options.port,
    socket: {
      data: (_socket, bytes) => take(waiting, bytes),
      close: () => waiting.answered?.reject(new Error("The server closed the connection.")),
    },
  });
  return { socket, waiting };
};
const connections = await Promise.all(Array.from({ length: options.loops }, open));
await generate(options.loops, options.durationMs, async (loop) => {
  const connection = connections[loop];
  if (connection === undefined) throw new Error("There is no such connection.");
  const answered = Promise.withResolvers<void>();
  connection.waiting.answered = answered;
  connection.socket.write(message);
  await answered.promise;
});
process.exit(0);
