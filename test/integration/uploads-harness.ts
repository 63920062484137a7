/** A real server for uploads, over a real database and a folder, with what the tests ask of it. */
import { expect } from "bun:test";
import { connect } from "node:net";
import { join } from "node:path";
import { listen } from "../../plugins/listen.ts";
import type { Uploads, UploadsPorts } from "../../src/uploads/uploads.ts";
import { openTestDatabase } from "../faults/protocol-harness.ts";
import { afterFile } from "../support/cleanup.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";
import { fakeCoordination, MEDIA, makeTestHttp, testConfig, testUploads } from "./http-harness.ts";

export const LIMIT = 4 * 1024 * 1024;
export const TUS = { "tus-resumable": "1.0.0" };
export const OFFSET = { ...TUS, "content-type": "application/offset+octet-stream" };
export const QUICK = { ttlMs: 400, renewMs: 50, waitMs: 2_000, lookMs: 10 };

export const bytesOf = (size: number): Uint8Array<ArrayBuffer> =>
  new Uint8Array(size).map((_, index) => (index * 7 + (index >> 8)) % 251);

export interface View {
  readonly id: string;
  readonly uri: string;
  readonly status: string;
  readonly bytes: number | null;
  readonly offset: number;
  readonly media_type: string | null;
}

export const idOf = (at: string): string => at.slice(at.lastIndexOf("/") + 1);
export const codeOf = async (answer: Response): Promise<string> => {
  const { error } = (await answer.json()) as { error: { code: string; request_id: string } };
  expect(error.request_id).not.toBe("");
  return `${answer.status} ${error.code}`;
};

export const convert = (at: string): RequestInit => ({
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ input_path: `upload://${idOf(at)}`, output_path: "local://out.mp4" }),
});

export async function* listOf<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

export async function* takeThenFail<T>(items: AsyncIterable<T>, count: number, error: Error): AsyncGenerator<T> {
  let taken = 0;
  for await (const item of items) {
    if (taken++ === count) throw error;
    yield item;
  }
}

/** `probe`: what its worker answers. */
export async function makeUploadSite() {
  const { sql } = await openTestDatabase("postgres");
  const root = await makeTempDir("uploads");
  const coordination = fakeCoordination();
  const makeService = (changes: Partial<UploadsPorts> = {}): Uploads =>
    testUploads({ sql, root, bus: coordination.bus, changes: { timing: QUICK, limitBytes: LIMIT, ...changes } });
  const uploads = makeService();
  const worker = { probe: async () => MEDIA };
  const config = testConfig();
  const http = makeTestHttp({
    ...{ sql, root, config: { ...config, http: { ...config.http, uploadLimitBytes: LIMIT } } },
    services: {
      ...{ coordination, uploads },
      media: {
        probe: () => worker.probe(),
        plan: () => Promise.reject(new Error("no plan is wanted")),
        estimate: () => Promise.reject(new Error("no estimate is wanted")),
      },
    },
  });
  const server = listen(http.app, { host: "127.0.0.1", port: 0 });
  afterFile(() => server.stop(false));
  const [{ key }, { key: other }] = [await http.key(), await http.key()];

  const url = (path: string): string => `${server.url}/api/v1${path}`;
  const ask = (method: string, path: string, init: Omit<RequestInit, "method"> = {}, as = key): Promise<Response> =>
    fetch(path.startsWith("http") ? path : url(path), {
      ...{ method, ...init },
      headers: { "x-api-key": as, ...(init.headers as Record<string, string>) },
    });

  const begin = async (size: number | null, headers: Record<string, string> = {}): Promise<string> => {
    const length = size === null ? { "upload-defer-length": "1" } : { "upload-length": String(size) };
    const answer = await ask("POST", "/uploads", { headers: { ...TUS, ...length, ...headers } });
    expect(answer.status).toBe(201);
    return answer.headers.get("location") ?? "";
  };
  const append = (at: string, offset: number, body: Uint8Array<ArrayBuffer>, headers = {}): Promise<Response> =>
    ask("PATCH", at, { headers: { ...OFFSET, "upload-offset": String(offset), ...headers }, body });
  const offsetOf = async (at: string): Promise<number> => {
    const answer = await ask("HEAD", at, { headers: TUS });
    expect(answer.status).toBe(200);
    return Number(answer.headers.get("upload-offset"));
  };
  const view = async (at: string): Promise<View> => (await (await ask("GET", at)).json()) as View;
  const stored = (at: string): Promise<Uint8Array> => Bun.file(join(root, "uploads", idOf(at))).bytes();
  /** Sends the head of a request and some of its body, over a socket that stays as it is. */
  async function sendPart(at: string, offset: number, length: number, part: Uint8Array) {
    const { port, pathname } = new URL(at);
    const socket = connect(Number(port), "127.0.0.1");
    const head = [
      `PATCH ${pathname} HTTP/1.1`,
      "host: localhost",
      `x-api-key: ${key}`,
      "tus-resumable: 1.0.0",
      "content-type: application/offset+octet-stream",
      `upload-offset: ${offset}`,
      `content-length: ${length}`,
    ];
    const answered = new Promise<string>((resolve) => {
      let text = "";
      socket.on("data", (data) => {
        text += data.toString();
        resolve(text);
      });
      socket.on("close", () => resolve(text));
      socket.on("error", () => resolve(text));
    });
    socket.write(`${head.join("\r\n")}\r\n\r\n`);
    socket.write(part);
    const size = (): Promise<number> =>
      stored(at).then(
        ({ length: size }) => size,
        () => 0,
      );
    await until(async () => (await size()) === offset + part.length);
    return { socket, answered };
  }

  return {
    sql,
    root,
    http,
    server,
    key,
    other,
    uploads,
    worker,
    makeService,
    url,
    ask,
    begin,
    append,
    offsetOf,
    view,
    stored,
    sendPart,
  };
}
