/**
 * A small pooler in transaction mode, as strict as PgBouncer: it refuses start-up parameters it does not know, announces a
 * process id of its own, gives a client any free backend for each transaction, and keeps no prepared statement for it.
 */
import type { Socket } from "bun";
import { afterFile } from "./cleanup.ts";
import { until } from "./until.ts";

const KNOWN_PARAMETERS = new Set(["user", "database", "client_encoding", "application_name"]);
const READY_FOR_QUERY = 0x5a;
const IDLE = 0x49;

interface Backend {
  readonly socket: Socket<unknown>;
  client: Client | null;
  rest: Buffer;
  greeted: boolean;
}
interface Client {
  readonly socket: Socket<unknown>;
  backend: Backend | null;
  readonly pending: Buffer[];
  started: boolean;
}

function message(type: string, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(5);
  head.write(type, 0, "latin1");
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}
const int32 = (...values: number[]): Buffer => {
  const buffer = Buffer.alloc(4 * values.length);
  values.forEach((value, at) => void buffer.writeInt32BE(value, 4 * at));
  return buffer;
};
const text = (...values: string[]): Buffer => Buffer.from(values.map((value) => `${value}\0`).join(""));

const GREETING = Buffer.concat([
  message("R", int32(0)),
  message("S", text("server_version", "15.0")),
  message("K", int32(4_242, 1)),
  message("Z", Buffer.from("I")),
]);

function refusal(parameter: string): Buffer {
  const fields = ["SFATAL", "VFATAL", "C08P01", `Munsupported startup parameter: ${parameter}`, ""];
  return message("E", text(...fields));
}

/** Start-up message → the first parameter that is not known, or null. */
function unknownParameter(startup: Buffer): string | null {
  const words = startup.subarray(8).toString().split("\0");
  for (let at = 0; at + 1 < words.length && words[at] !== ""; at += 2) {
    if (!KNOWN_PARAMETERS.has(words[at] ?? "")) return words[at] ?? "";
  }
  return null;
}

/** Starts a pooler of `size` backends in front of `url`; it ends with the test file. Returns its own URL. */
export async function startPooler(url: string, size: number): Promise<string> {
  const target = new URL(url);
  const backends: Backend[] = [];
  const waiting: Client[] = [];

  const assign = (): void => {
    // The one that rested longest, so that a client rarely meets the same backend twice.
    while (waiting.length > 0) {
      const free = backends.findIndex((backend) => backend.greeted && backend.client === null);
      if (free < 0) return;
      const [backend] = backends.splice(free, 1) as [Backend];
      backends.push(backend);
      const client = waiting.shift() as Client;
      client.backend = backend;
      backend.client = client;
      for (const data of client.pending.splice(0)) backend.socket.write(data);
    }
  };
  /** Passes on whole messages, and takes the backend back where a transaction ended. */
  const fromBackend = (backend: Backend, data: Buffer): void => {
    backend.rest = Buffer.concat([backend.rest, data]);
    let end = 0;
    let idle = false;
    while (backend.rest.length >= end + 5) {
      const next = end + 1 + backend.rest.readInt32BE(end + 1);
      if (next > backend.rest.length) break;
      idle = backend.rest[end] === READY_FOR_QUERY && backend.rest[end + 5] === IDLE;
      end = next;
    }
    const whole = Buffer.from(backend.rest.subarray(0, end));
    backend.rest = Buffer.from(backend.rest.subarray(end));
    if (backend.greeted) backend.client?.socket.write(whole);
    if (!idle) return;
    backend.greeted = true;
    if (backend.client !== null) backend.client.backend = null;
    backend.client = null;
    assign();
  };
  const connectBackend = async (): Promise<void> => {
    const backend: { current: Backend | null } = { current: null };
    const socket = await Bun.connect({
      hostname: target.hostname,
      port: Number(target.port),
      socket: { data: (_, data) => void (backend.current && fromBackend(backend.current, data)) },
    });
    backend.current = { socket, client: null, rest: Buffer.alloc(0), greeted: false };
    backends.push(backend.current);
    const words = text("user", target.username, "database", target.pathname.slice(1), "");
    socket.write(Buffer.concat([int32(words.length + 8, 196_608), words]));
  };
  await Promise.all(Array.from({ length: size }, connectBackend));
  // With fewer than all of them a client could meet the same one each time, and the pooler would look lenient.
  await until(() => backends.length === size && backends.every(({ greeted }) => greeted), { what: "the backends" });

  const clients = new Map<Socket<unknown>, Client>();
  const server = Bun.listen<unknown>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open: (socket) => void clients.set(socket, { socket, backend: null, pending: [], started: false }),
      close: (socket) => void clients.delete(socket),
      data(socket, data) {
        const client = clients.get(socket);
        if (client === undefined) return;
        if (!client.started) {
          client.started = true;
          const unknown = unknownParameter(data);
          if (unknown === null) socket.write(GREETING);
          else socket.end(refusal(unknown));
        } else if (client.backend !== null) {
          client.backend.socket.write(data);
        } else if (data[0] !== 0x58) {
          client.pending.push(Buffer.from(data));
          if (client.pending.length === 1) waiting.push(client);
          assign();
        }
      },
    },
  });
  afterFile(() => {
    server.stop(true);
    for (const { socket } of backends) socket.end();
  });
  return `postgres://${target.username}@127.0.0.1:${server.port}${target.pathname}`;
}
