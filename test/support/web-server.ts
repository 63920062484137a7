/** A web server that serves one object in the ways that servers do, well and badly. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";

export interface WebObject {
  readonly bytes: Uint8Array;
  /** Absent: a tag made of the bytes; null: none. */
  readonly etag?: string | null;
  /** Answers every request with the whole. */
  readonly noRanges?: boolean;
  /** Says no length (chunked). */
  readonly noLength?: boolean;
  /** Ends the connection after so many bytes of a body, of the first so many answers. */
  readonly cut?: { readonly afterBytes: number; times: number };
  /** Bytes a second. */
  readonly rate?: number;
  /** Called before a part of a body is written, with its offset in the object and that of the answer; awaited. */
  readonly onPart?: (offset: number, start: number) => Promise<void> | void;
  /** Says that it is longer than it is. */
  readonly lieBytes?: number;
  readonly status?: number;
  /** Sends headers and nothing more. */
  readonly silent?: boolean;
  readonly redirect?: string;
}

export interface WebServer {
  readonly url: string;
  /** Replaces, or takes away. */
  put(path: string, object: WebObject | null): void;
  /** `{path, range, sentBytes}` of each request so far. */
  readonly requests: readonly { readonly path: string; readonly range: string | null; sentBytes: number }[];
  [Symbol.asyncDispose](): Promise<void>;
}

const PART_BYTES = 64 * 1024;
/** Less is how long this machine takes. */
const PAUSE_MS_MIN = 50;

const tagOf = ({ bytes, etag }: WebObject): string | null =>
  etag === undefined ? `"${Bun.hash(bytes).toString(16)}"` : etag;

interface Slice {
  readonly start: number;
  readonly end: number;
  readonly partial: boolean;
}

function sliceOf(request: IncomingMessage, object: WebObject): Slice | "unsatisfiable" {
  const size = object.bytes.length;
  const whole = { start: 0, end: size, partial: false };
  const match = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
  const condition = request.headers["if-range"];
  if (match === null || object.noRanges === true) return whole;
  if (condition !== undefined && condition !== tagOf(object)) return whole;
  const start = Number(match[1]);
  if (start >= size) return "unsatisfiable";
  return { start, end: match[2] === "" ? size : Math.min(size, Number(match[2]) + 1), partial: true };
}

async function drained(response: ServerResponse): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  response.once("drain", resolve).once("close", resolve);
  await promise;
  response.off("drain", resolve).off("close", resolve);
}

async function send(
  response: ServerResponse,
  object: WebObject,
  { start, end }: Slice,
  count: (bytes: number) => void,
) {
  const cut = object.cut !== undefined && object.cut.times > 0 ? object.cut.afterBytes : null;
  if (cut !== null && object.cut !== undefined) object.cut.times -= 1;
  let freeAtMs = performance.now();
  for (let at = start; at < end && !response.destroyed; at += PART_BYTES) {
    const part = object.bytes.subarray(at, Math.min(end, at + PART_BYTES));
    await object.onPart?.(at, start);
    if (cut !== null && at - start + part.length > cut) {
      const last = part.subarray(0, cut - (at - start));
      if (last.length === 0) response.destroy();
      else response.write(last, () => response.destroy());
      return;
    }
    const writtenAtMs = performance.now();
    if (!response.write(part)) await drained(response);
    count(part.length);
    if (object.rate === undefined) continue;
    // What a reader's pause leaves unused is lost, as on a line; what timers are late by is not.
    const pausedMs = performance.now() - writtenAtMs;
    freeAtMs += (part.length / object.rate) * 1000 + (pausedMs > PAUSE_MS_MIN ? pausedMs : 0);
    await Bun.sleep(Math.max(0, freeAtMs - performance.now()));
  }
  if (object.lieBytes !== undefined) response.destroy();
  else response.end();
}

/** On an address of its own, `hostname`, so that a guard can allow it alone. */
export async function startWebServer(hostname = "127.0.0.1"): Promise<WebServer> {
  const objects = new Map<string, WebObject>();
  const requests: { path: string; range: string | null; sentBytes: number }[] = [];
  const server = createServer((request, response) => {
    const path = request.url ?? "/";
    const entry = { path, range: request.headers.range ?? null, sentBytes: 0 };
    requests.push(entry);
    const object = objects.get(path.split("?")[0] ?? "");
    if (object === undefined) return void response.writeHead(404).end();
    if (object.redirect !== undefined) return void response.writeHead(302, { location: object.redirect }).end();
    if (object.status !== undefined) return void response.writeHead(object.status).end();
    const slice = sliceOf(request, object);
    if (slice === "unsatisfiable") {
      return void response.writeHead(416, { "content-range": `bytes */${object.bytes.length}` }).end();
    }
    const { start, end, partial } = slice;
    const tag = tagOf(object);
    response.writeHead(partial ? 206 : 200, {
      ...(object.noLength === true ? {} : { "content-length": end - start + (object.lieBytes ?? 0) }),
      ...(tag === null ? {} : { etag: tag }),
      ...(partial
        ? { "content-range": `bytes ${start}-${end - 1}/${object.bytes.length + (object.lieBytes ?? 0)}` }
        : {}),
    });
    response.flushHeaders();
    if (object.silent === true) return;
    send(response, object, slice, (bytes) => {
      entry.sentBytes += bytes;
    }).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => void server.listen(0, hostname, resolve));
  const { port } = server.address() as { port: number };
  return {
    url: `http://${hostname}:${port}`,
    put(path, object) {
      if (object === null) objects.delete(path);
      else objects.set(path, object);
    },
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => void server.close(() => resolve()));
    },
  };
}
