/** An output that is sent while FFmpeg writes it: through the whole server, to a real store, with the input held back. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ListObjectsV2Command, ListPartsCommand, S3Client } from "@aws-sdk/client-s3";
import { loadConfig } from "../../src/config/load.ts";
import { type Api, makeApi } from "../support/api.ts";
import { testEnv } from "../support/env.ts";
import { type FaultyProxy, startFaultyProxy } from "../support/faulty-proxy.ts";
import { serveKnowing } from "../support/serve-knowing.ts";
import { memoryLogger } from "../support/silent-logger.ts";
import { ACCESS_KEY, SECRET_KEY, startStore } from "../support/stores.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";
import { startWebServer, type WebServer } from "../support/web-server.ts";
import { credentials, makeBucket } from "./s3-subject.ts";

const KEY = "transfer-test-key-1";

let web: WebServer;
let proxy: FaultyProxy;
let client: S3Client;
let bucket: string;
let api: Api;
let stop: () => Promise<void>;

beforeAll(async () => {
  const folder = await makeTempDir("ahead");
  web = await startWebServer();
  const { url } = await startStore("minio");
  proxy = await startFaultyProxy(url);
  bucket = await makeBucket(url);
  client = new S3Client({ endpoint: url, region: "us-east-1", forcePathStyle: true, credentials });
  const store = {
    ...{ type: "s3", endpoint: proxy.url, bucket },
    ...{ access_key_id_env: "STORE_KEY", secret_access_key_env: "STORE_SECRET" },
    ...{ conditional_writes: true, drops_unnamed_parts: true },
  };
  await writeFile(join(folder, "storage.yml"), JSON.stringify({ backends: { store } }));
  const config = loadConfig({
    cwd: folder,
    env: {
      ...{ RENDIFF_ENV: "test", API_HOST: "127.0.0.1", API_PORT: "0", SANDBOX: "auto", DRAIN_DELAY: "0s" },
      ...{ DATA_DIR: join(folder, "data"), TEMP_STORAGE: join(folder, "work"), WORKER_CONCURRENCY: "1" },
      ...{ ALLOW_PRIVATE_NETWORKS: "127.0.0.1/32", STORAGE_CONFIG: join(folder, "storage.yml") },
      ...{ ADMIN_API_KEYS: KEY, STORE_KEY: ACCESS_KEY, STORE_SECRET: SECRET_KEY },
    },
  });
  const server = await serveKnowing(config, memoryLogger([]));
  api = makeApi(server.url, KEY);
  stop = () => server.drain();
}, 60_000);
afterAll(async () => {
  await stop?.();
  client?.destroy();
  await web?.[Symbol.asyncDispose]();
});

/** Noise, which no encoder makes small. */
async function makeFilm(seconds: number): Promise<Uint8Array> {
  const path = join(await makeTempDir("film"), "film.mkv");
  const noise = ["-f", "lavfi", "-i", `color=gray:s=640x360:r=25:d=${seconds},noise=alls=100:allf=t`];
  const argv = [testEnv().ffmpeg9, "-v", "error", ...noise, "-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj420p", path];
  const child = Bun.spawn(argv, { stderr: "pipe" });
  if ((await child.exited) !== 0) throw new Error(await new Response(child.stderr).text());
  return await readFile(path);
}

test.each(["mp4", "mkv"])(
  "%s: parts are in the store before the last of the input has come, and are not sent twice",
  async (container) => {
    const bytes = await makeFilm(5);
    const parts: number[] = [];
    proxy.decide = ({ method, url }) => {
      const number = Number(/[?&]partNumber=(\d+)/.exec(url)?.[1] ?? 0);
      if (method === "PUT" && number > 0 && number < 10_000) parts.push(number);
      return null;
    };
    let early: readonly number[] = [];
    const onPart = async (offset: number, start: number): Promise<void> => {
      const isLook = start >= bytes.length - 1024 * 1024;
      if (early.length > 0 || isLook || offset + 64 * 1024 < bytes.length - 128 * 1024) return;
      early = await until(() => parts.length > 0 && [...parts], { timeoutMs: 40_000, what: "a part of the output" });
    };
    web.put(`/${container}.mkv`, { bytes, onPart });
    const { id } = await api.completed(
      {
        ...{ input: `${web.url}/${container}.mkv`, output: `store://out.${container}` },
        operations: [{ type: "transcode", video_codec: "h264", preset: "ultrafast", crf: 2 }],
      },
      60_000,
    );
    expect(early).toContain(2);
    // What is read while FFmpeg moves the index to the front may be sent again, and nothing else is.
    for (const number of early) expect([number, parts.filter((one) => one === number)]).toEqual([number, [number]]);
    expect(new Set(parts).size).toBe(Math.max(...parts));
    const [output] = await api.outputs(id);
    const stored = await (await fetch(output?.download_url ?? "")).bytes();
    expect(stored.length).toBeGreaterThan(16 * 1024 * 1024);
    expect(new Bun.CryptoHasher("sha256").update(stored).digest("hex")).toBe(output?.sha256 ?? "");
  },
  120_000,
);

interface Call {
  readonly does: "begin" | "part" | "complete" | "other";
  readonly key: string;
  readonly uploadId: string;
  readonly part: number;
}

function callOf({ method, url }: { readonly method: string; readonly url: string }): Call {
  const { pathname, searchParams } = new URL(url, proxy.url);
  const uploadId = searchParams.get("uploadId") ?? "";
  const part = Number(searchParams.get("partNumber") ?? 0);
  const key = decodeURIComponent(pathname.slice(bucket.length + 2));
  if (method === "POST") return { does: searchParams.has("uploads") ? "begin" : "complete", key, uploadId, part };
  // The last number is the owner's mark.
  return { does: method === "PUT" && part > 0 && part < 10_000 ? "part" : "other", key, uploadId, part };
}

const isSegment = ({ key }: Call): boolean => key.endsWith(".m4s");
const isEntry = ({ key }: Call): boolean => /(master\.m3u8|manifest\.mpd)$/.test(key);

let noise: Promise<Uint8Array> | null = null;

async function packageOf(name: string) {
  noise ??= makeFilm(2);
  web.put("/noise.mkv", { bytes: await noise });
  const variants = [{ height: 360, bitrate: "30M" }];
  const body = { input_path: `${web.url}/noise.mkv`, output_path: `store://${name}/`, format: "both", variants };
  const { status, body: job } = await api.call<{ id: string }>("POST", "/stream", { ...body, segment_duration: 1 });
  expect(status).toBe(201);
  return job.id;
}

async function leftOf(calls: readonly Call[]): Promise<string[]> {
  const uploads = new Map(calls.filter(({ does }) => does === "part").map((call) => [call.uploadId, call.key]));
  const left: string[] = [];
  for (const [uploadId, key] of uploads) {
    const found = await client
      .send(new ListPartsCommand({ Bucket: bucket, Key: key, UploadId: uploadId }))
      .catch(() => null);
    if (found !== null) left.push(key);
  }
  return left;
}

test("a package's segments go to the store before it is checked, and what names them comes last", async () => {
  const calls: Call[] = [];
  proxy.decide = (seen) => {
    calls.push(callOf(seen));
    return null;
  };
  const job = await api.ended(await packageOf("film"), 60_000);
  expect([job.status, job.error]).toEqual(["completed", null]);
  // Those of the entries are begun when all is checked.
  const checked = calls.findIndex((call) => call.does === "begin" && isEntry(call));
  const early = calls.slice(0, checked).filter((call) => call.does === "part" && isSegment(call));
  expect(early.length).toBeGreaterThan(0);
  const parts = calls.filter((call) => call.does === "part").map(({ key, part }) => `${key} ${part}`);
  expect(parts.length).toBe(new Set(parts).size);
  const completed = calls.filter(({ does }) => does === "complete");
  expect(completed.slice(-2).every(isEntry)).toBe(true);
  expect(completed.slice(0, -2).some(isEntry)).toBe(false);
  const listed = await client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: "film/" }));
  expect((listed.Contents ?? []).map(({ Key = "" }) => Key).sort()).toEqual(
    job.outputs.map(({ uri }) => uri.replace("store://", "")).sort(),
  );
  expect(await leftOf(calls)).toEqual([]);
}, 90_000);

test("nothing of a package stays that is cancelled while its segments are sent", async () => {
  const calls: Call[] = [];
  const released = Promise.withResolvers<void>();
  proxy.decide = (seen) => {
    const call = callOf(seen);
    calls.push(call);
    return call.does === "part" ? { kind: "late", until: released.promise } : null;
  };
  const id = await packageOf("cancelled");
  await until(() => calls.some((call) => call.does === "part"), { timeoutMs: 40_000, what: "a segment" });
  const cancelling = api.call("DELETE", `/jobs/${id}`);
  await until(async () => (await api.job(id)).status === "cancelled", { timeoutMs: 20_000, what: "the cancel" });
  released.resolve();
  await cancelling;
  const listed = await client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: "cancelled/" }));
  expect(listed.Contents ?? []).toEqual([]);
  expect(await leftOf(calls)).toEqual([]);
}, 90_000);
