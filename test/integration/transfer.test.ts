/** Jobs whose inputs lie on the web, through the whole server with real FFmpeg. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { serve } from "../../src/boot/serve.ts";
import { loadConfig } from "../../src/config/load.ts";
import { type Api, makeApi } from "../support/api.ts";
import { makeClip } from "../support/media.ts";
import { memoryLogger } from "../support/silent-logger.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { startWebServer, type WebServer } from "../support/web-server.ts";

let web: WebServer;
let api: Api;
let stop: () => Promise<void>;

beforeAll(async () => {
  const folder = await makeTempDir("transfer");
  web = await startWebServer();
  const config = loadConfig({
    cwd: folder,
    env: {
      ...{ RENDIFF_ENV: "test", API_HOST: "127.0.0.1", API_PORT: "0", SANDBOX: "auto", DRAIN_DELAY: "0s" },
      ...{ DATA_DIR: join(folder, "data"), WORKER_CONCURRENCY: "1", ALLOW_PRIVATE_NETWORKS: "127.0.0.1/32" },
      ...{ ADMIN_API_KEYS: "transfer-test-key-1", RATE_LIMIT: "100000/min", ADDRESS_RATE_LIMIT: "100000/min" },
    },
  });
  const server = await serve(config, memoryLogger([]));
  api = makeApi(server.url, "transfer-test-key-1");
  stop = () => server.drain();
}, 60_000);
afterAll(async () => {
  await stop();
  await web[Symbol.asyncDispose]();
});

describe("an input on the web", () => {
  test("is probed, planned and converted", async () => {
    web.put("/film.mp4", { bytes: await readFile(await makeClip()) });
    const input = `${web.url}/film.mp4?token=a%2Fb`;
    const probed = await api.call<{ format: { container: string } }>("POST", "/probe", { input });
    expect(probed.status).toBe(200);
    const job = await api.completed({ input, output: "out/film.mkv" });
    expect(job.input_path).toBe(input);
    expect(job.outputs[0]).toMatchObject({ uri: "local://out/film.mkv" });
  });

  test("that breaks off is taken up where it stopped; one that cannot be is tried again, and never cut short", async () => {
    const bytes = await readFile(await makeClip());
    web.put("/cut.mp4", { bytes, cut: { afterBytes: 1_000, times: 3 } });
    await api.completed({ input: `${web.url}/cut.mp4`, output: "out/cut.mkv" });
    web.put("/changes.mp4", { bytes, etag: '"one"', onPart: () => web.put("/changes.mp4", { bytes, etag: '"two"' }) });
    expect(await api.failed({ input: `${web.url}/changes.mp4`, output: "out/changes.mkv" })).toMatchObject({
      kind: "input.changed",
    });
  });

  test("is refused where the guard refuses it, when the job is submitted", async () => {
    for (const input of ["http://169.254.169.254/latest/", "http://10.0.0.1/a.mp4", "http://a:b@example.com/a.mp4"]) {
      const answer = await api.call<{ error: { code: string } }>("POST", "/convert", { input, output: "out/x.mp4" });
      expect([answer.status, answer.body.error.code]).toEqual([400, "VALIDATION_ERROR"]);
    }
    const output = await api.call<{ error: { code: string } }>("POST", "/convert", {
      ...{ input: "a.mp4", output: `${web.url}/out.mp4` },
    });
    expect([output.status, output.body.error.code]).toEqual([422, "UNSUPPORTED"]);
    expect(await api.failed({ input: `${web.url}/none.mp4`, output: "out/x.mkv" })).toMatchObject({
      kind: "input.not_found",
    });
  });
});
