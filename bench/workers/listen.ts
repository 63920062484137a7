/**
 * So many WebSocket clients, each on one job. Answers each line of its input with one of its output: `ready` at first, then
 * for each `report` how late the progress was that came since the last one.
 */
import { epochMs } from "../lib/stand-ins.ts";

export interface ListenOptions {
  /** `ws://host:port/api/v1/jobs/{job}/ws`, in turns. */
  readonly urls: readonly string[];
  readonly key: string;
  readonly sockets: number;
}

/** Milliseconds from when the progress was told to when each client had it, in the order of their coming. */
export interface Listened {
  readonly latenciesMs: readonly number[];
}

/** How many open at once. */
const OPENING_MAX = 50;

const { urls, key, sockets } = JSON.parse(process.argv[2] ?? "") as ListenOptions;
let latenciesMs: number[] = [];

function open(url: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = new WebSocket(url, { headers: { "x-api-key": key } } as unknown as string[]);
  socket.onopen = () => resolve();
  socket.onclose = ({ code }) => reject(new Error(`A socket was closed with ${code}.`));
  socket.onmessage = ({ data }) => {
    const atMs = epochMs();
    // When it was told travels in the figure that nobody computes with.
    const { type, eta_seconds: toldAtMs } = JSON.parse(String(data)) as { type: string; eta_seconds: number };
    if (type === "progress") latenciesMs.push(Number((atMs - toldAtMs).toFixed(3)));
  };
  return promise;
}

for (let index = 0; index < sockets; index += OPENING_MAX) {
  const count = Math.min(OPENING_MAX, sockets - index);
  await Promise.all(Array.from({ length: count }, (_, place) => open(urls[(index + place) % urls.length] ?? "")));
}
console.log("ready");
for await (const _ of console) {
  console.log(JSON.stringify({ latenciesMs } satisfies Listened));
  latenciesMs = [];
}
process.exit(0);
