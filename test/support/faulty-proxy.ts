/**
 * Between a client and a store: passes each request on, or does to it what a test says. What is passed on is the request
 * itself, byte for byte, so that its signature holds.
 */
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterFile } from "./cleanup.ts";

export type Fault =
  /** Answered without the store having heard of it. */
  | { readonly kind: "status"; readonly status: number }
  /** The connection breaks; the store has done it or not. */
  | { readonly kind: "reset"; readonly after: "nothing" | "the store's answer" }
  /** The answer breaks off in the middle, at its promised length or with a lying one. */
  | { readonly kind: "cut"; readonly lying: boolean }
  /** A byte of the answer is another. */
  | { readonly kind: "flip" }
  /** Half of the answer comes, and nothing more; `closed` when the client has given the connection up. */
  | { readonly kind: "stall"; closed(): void }
  /** It reaches the store when the promise has settled, whoever still waits for the answer; or nobody, if the connection broke. */
  | {
      readonly kind: "late";
      readonly until: Promise<void>;
      readonly answered?: () => void;
      readonly breaks?: boolean;
    };

export interface Seen {
  readonly method: string;
  readonly url: string;
}

export interface FaultyProxy {
  readonly url: string;
  /** Decides each request's fate; null passes it on. */
  decide: (seen: Seen) => Fault | null;
  stop(): Promise<void>;
}

interface Passed {
  readonly status: number;
  readonly headers: string[];
  readonly body: Buffer;
}

async function readAll(message: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of message) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

function pass(upstream: URL, incoming: IncomingMessage, body: Buffer): Promise<Passed> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        ...{ host: upstream.hostname, port: upstream.port, method: incoming.method, path: incoming.url },
        headers: { ...incoming.headers, "content-length": body.length, connection: "close" },
      },
      (answer) => {
        readAll(answer).then(
          (bytes) => resolve({ status: answer.statusCode ?? 502, headers: answer.rawHeaders, body: bytes }),
          reject,
        );
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

function headersOf({ headers }: Passed): [string, string][] {
  const pairs: [string, string][] = [];
  for (let i = 0; i < headers.length; i += 2) pairs.push([headers[i] ?? "", headers[i + 1] ?? ""]);
  return pairs.filter(([name]) => !/^(connection|transfer-encoding|keep-alive)$/i.test(name));
}

function answer(response: ServerResponse, passed: Passed, isHead: boolean, cut: { lying: boolean } | null): void {
  const half = passed.body.subarray(0, Math.floor(passed.body.length / 2));
  const sent = cut === null ? passed.body : half;
  for (const [name, value] of headersOf(passed)) {
    const isLength = name.toLowerCase() === "content-length";
    response.setHeader(name, isLength && cut?.lying === true ? String(half.length) : value);
  }
  if (!isHead && !response.hasHeader("content-length")) response.setHeader("content-length", passed.body.length);
  response.statusCode = passed.status;
  if (cut === null || cut.lying || isHead) {
    response.end(isHead ? undefined : sent);
    return;
  }
  response.write(sent, () => response.socket?.destroy());
}

function flip(body: Buffer): void {
  const middle = body.length >> 1;
  if (body.length > 0) body.writeUInt8(body.readUInt8(middle) ^ 1, middle);
}

function stall(response: ServerResponse, passed: Passed, closed: () => void): void {
  for (const [name, value] of headersOf(passed)) response.setHeader(name, value);
  response.statusCode = passed.status;
  response.once("close", closed);
  response.write(passed.body.subarray(0, Math.floor(passed.body.length / 2)));
}

export async function startFaultyProxy(upstreamUrl: string): Promise<FaultyProxy> {
  const upstream = new URL(upstreamUrl);
  const handle = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await readAll(incoming);
    const seen = { method: incoming.method ?? "", url: incoming.url ?? "" };
    const fault = proxy.decide(seen);
    if (fault?.kind === "status") {
      response.statusCode = fault.status;
      response.end();
      return;
    }
    if (fault?.kind === "reset" && fault.after === "nothing") {
      response.socket?.destroy();
      return;
    }
    if (fault?.kind === "late" && fault.breaks) response.socket?.destroy();
    if (fault?.kind === "late") await fault.until;
    const passed = await pass(upstream, incoming, body);
    if (fault?.kind === "late") fault.answered?.();
    if (fault?.kind === "flip") flip(passed.body);
    if (fault?.kind === "reset") response.socket?.destroy();
    else if (fault?.kind === "stall") stall(response, passed, () => fault.closed());
    else answer(response, passed, seen.method === "HEAD", fault?.kind === "cut" ? fault : null);
  };
  const server = createServer((incoming, response) => {
    handle(incoming, response).catch(() => response.socket?.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const stop = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  afterFile(stop);
  const { port } = server.address() as AddressInfo;
  const proxy: FaultyProxy = {
    url: `http://127.0.0.1:${port}${upstream.pathname.replace(/\/$/, "")}`,
    decide: () => null,
    stop,
  };
  return proxy;
}
