/**
 * So many WebSocket clients, each on one job. Answers each line of its input with one of its output: `ready` at first, then
 * for each `report` how late the progress was that came since the last one.
 *
 * It speaks as little WebSocket as it can, on bare sockets: on a small machine the clients' time is the server's, and a
 * client that does more would be measured with it.
 */
import { epochMs } from "../lib/stand-ins.ts";

export interface ListenOptions {
  /** `ws://127.0.0.1:port/api/v1/jobs/{job}/ws`, in turns. */
  readonly urls: readonly string[];
  readonly key: string;
  readonly sockets: number;
}

/** Milliseconds from when the progress was told to when each client had it, in the order of their coming. */
export interface Listened {
  readonly latenciesMs: readonly number[];
}

interface Frame {
  readonly opcode: number;
  readonly payload: Buffer;
  /** Of the whole frame. */
  readonly bytes: number;
}

/** How many open at once. */
const OPENING_MAX = 50;
const OPCODE = { text: 1, close: 8, ping: 9, pong: 10 } as const;
const EXTENDED = 126;
const HEADER_BYTES = 2;
const EXTENDED_HEADER_BYTES = 4;
/** When it was told travels in the figure that nobody computes with. */
const TOLD_AT = /"type":"progress".*"eta_seconds":([\d.]+)/;

const { urls, key, sockets } = JSON.parse(process.argv[2] ?? "") as ListenOptions;
let latenciesMs: number[] = [];

/** The first frame; null when not all of it is there. No frame of a server is masked, and none of these is long. */
function readFrame(bytes: Buffer): Frame | null {
  if (bytes.length < HEADER_BYTES) return null;
  const isExtended = bytes[1] === EXTENDED;
  if (isExtended && bytes.length < EXTENDED_HEADER_BYTES) return null;
  const from = isExtended ? EXTENDED_HEADER_BYTES : HEADER_BYTES;
  const length = isExtended ? bytes.readUInt16BE(HEADER_BYTES) : (bytes[1] ?? 0);
  if (bytes.length < from + length) return null;
  return { opcode: (bytes[0] ?? 0) & 0x0f, payload: bytes.subarray(from, from + length), bytes: from + length };
}

/** A client's frame has to say that it is masked; with zeros it stays what it is. */
const pong = (payload: Buffer): Buffer =>
  Buffer.concat([Buffer.from([0x80 | OPCODE.pong, 0x80 | payload.length, 0, 0, 0, 0]), payload]);

function take(frame: Frame, socket: { write(bytes: Buffer): unknown }, atMs: number): void {
  if (frame.opcode === OPCODE.ping) socket.write(pong(frame.payload));
  if (frame.opcode === OPCODE.close) throw new Error("A socket was closed by the server.");
  if (frame.opcode !== OPCODE.text) return;
  const toldAtMs = TOLD_AT.exec(frame.payload.toString("latin1"))?.[1];
  if (toldAtMs !== undefined) latenciesMs.push(Number((atMs - Number(toldAtMs)).toFixed(3)));
}

async function open(url: string): Promise<void> {
  const { hostname, port, host, pathname } = new URL(url);
  const { promise, resolve } = Promise.withResolvers<void>();
  let isOpen = false;
  let rest: Buffer = Buffer.alloc(0);
  const socket = await Bun.connect({
    ...{ hostname, port: Number(port) },
    socket: {
      data(from, chunk) {
        const atMs = epochMs();
        let bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
        if (!isOpen) {
          const end = bytes.indexOf("\r\n\r\n");
          if (end !== -1 && !bytes.toString("latin1").startsWith("HTTP/1.1 101 ")) {
            throw new Error(`A socket was refused: ${bytes.toString()}`);
          }
          if (end !== -1) {
            isOpen = true;
            bytes = bytes.subarray(end + 4);
            resolve();
          }
        }
        for (let frame = isOpen ? readFrame(bytes) : null; frame !== null; frame = readFrame(bytes)) {
          take(frame, from, atMs);
          bytes = bytes.subarray(frame.bytes);
        }
        rest = Buffer.from(bytes);
      },
      close() {
        process.stderr.write("The server closed a socket.\n");
        process.exit(1);
      },
      error(_from, error) {
        process.stderr.write(`${error}\n`);
        process.exit(1);
      },
    },
  });
  const headers = [
    ...[`GET ${pathname} HTTP/1.1`, `host: ${host}`, `x-api-key: ${key}`, "connection: Upgrade", "upgrade: websocket"],
    ...["sec-websocket-version: 13", `sec-websocket-key: ${Buffer.alloc(16).toString("base64")}`, "", ""],
  ];
  socket.write(headers.join("\r\n"));
  await promise;
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
