/** An output that is sent while FFmpeg writes it: through the whole server, to a real store, with the input held back. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { serve } from "../../src/boot/serve.ts";
import { loadConfig } from "../../src/config/load.ts";
import { type Api, makeApi } from "../support/api.ts";
import { testEnv } from "../support/env.ts";
import { type FaultyProxy, startFaultyProxy } from "../support/faulty-proxy.ts";
import { memoryLogger } from "../support/silent-logger.ts";
import { ACCESS_KEY, SECRET_KEY, startStore } from "../support/stores.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";
import { startWebServer, type WebServer } from "../support/web-server.ts";
import { makeBucket } from "./s3-subject.ts";

const KEY = "transfer-test-key-1";

let web: WebServer;
let proxy: FaultyProxy;
let api: Api;
let stop: () => Promise<void>;

beforeAll(async () => {
  const folder = await makeTempDir("ahead");
  web = await startWebServer();
  const { url } = await startStore("minio");
  proxy = await startFaultyProxy(url);
  const store = {
    ...{ type: "s3", endpoint: proxy.url, bucket: await makeBucket(url) },
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
  const server = await serve(config, memoryLogger([]));
  api = makeApi(server.url, KEY);
  stop = () => server.drain();
}, 60_000);
afterAll(async () => {
  await stop?.();
  await web?.[Symbol.asyncDispose]();
});

/** Noise, which no encoder makes small. */
async function makeFilm(): Promise<Uint8Array> {
  const path = join(await makeTempDir("film"), "film.mkv");
  const noise = ["-f", "lavfi", "-i", "color=gray:s=640x360:r=25:d=5,noise=alls=100:allf=t"];
  const argv = [testEnv().ffmpeg9, "-v", "error", ...noise, "-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj420p", path];
  const child = Bun.spawn(argv, { stderr: "pipe" });
  if ((await child.exited) !== 0) throw new Error(await new Response(child.stderr).text());
  return await readFile(path);
}

test.each(["mp4", "mkv"])(
  "%s: parts are in the store before the last of the input has come, and are not sent twice",
  async (container) => {
    const bytes = await makeFilm();
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
