/** A whole server whose second FFmpeg measures VMAF, and FFmpeg's own command line beside it. */
import { expect } from "bun:test";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { loadConfig } from "../../src/config/load.ts";
import { afterFile } from "../support/cleanup.ts";
import { testEnv } from "../support/env.ts";
import { serveKnowing } from "../support/serve-knowing.ts";
import { silentLogger } from "../support/silent-logger.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";

const KEY = "0123456789abcdef0123";
const WAIT = { timeoutMs: 50_000, intervalMs: 50 };

export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: an answer is looked at field by field.
  readonly json: any;
}

export interface Bench {
  /** Of the default storage. */
  readonly files: string;
  call(method: string, path: string, body?: unknown): Promise<Answer>;
  /** The job of a 201, once it has ended. */
  finished(created: Answer): Promise<Answer["json"]>;
  /** The report of a job. */
  reportOf(job: Answer["json"]): Promise<Answer["json"]>;
  /** What FFmpeg says on its command line, typed in the storage's folder. */
  ffmpeg(program: string, ...args: string[]): Promise<string>;
  /** The same of what only looks. */
  say(program: string, ...args: string[]): Promise<string>;
}

/** `prepare` puts files into the storage before the server starts. */
export async function openBench(name: string, prepare: (files: string) => Promise<unknown>): Promise<Bench> {
  const folder = await makeTempDir(name);
  const files = join(folder, "files");
  await mkdir(files);
  await prepare(files);
  const config = loadConfig({
    cwd: folder,
    env: {
      ...{ RENDIFF_ENV: "test", API_HOST: "127.0.0.1", API_PORT: "0", SANDBOX: "auto", DRAIN_DELAY: "0s" },
      ...{ DATA_DIR: join(folder, "data"), STORAGE_PATH: files, TEMP_STORAGE: join(folder, "work") },
      ...{ ADMIN_API_KEYS: KEY, WORKER_CONCURRENCY: "1", VMAF_FFMPEG_PATH: testEnv().ffmpeg9 },
    },
  });
  const server = await serveKnowing(config, silentLogger());
  afterFile(() => server.drain());
  const base = `${server.url.replace(/\/$/, "")}/api/v1`;

  async function call(method: string, path: string, body?: unknown): Promise<Answer> {
    const answer = await fetch(`${base}${path}`, {
      method,
      headers: { "x-api-key": KEY, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: answer.status, json: await answer.json() };
  }

  async function ffmpeg(program: string, ...args: string[]): Promise<string> {
    const child = Bun.spawn([program, "-hide_banner", "-nostats", "-y", ...args], {
      ...{ cwd: files, stdin: "ignore", stdout: "ignore", stderr: "pipe", timeout: 30_000 },
    });
    const text = await new Response(child.stderr).text();
    expect(await child.exited).toBe(0);
    return text;
  }

  return {
    files,
    call,
    ffmpeg,
    say: (program, ...args) => ffmpeg(program, ...args, "-f", "null", "-"),
    async finished(created) {
      expect([created.status, created.json.error]).toEqual([201, null]);
      return until(
        async () => {
          const { json } = await call("GET", `/jobs/${created.json.id}`);
          return ["completed", "failed", "cancelled"].includes(json.status) && json;
        },
        { ...WAIT, what: "the job to end" },
      );
    },
    async reportOf(job) {
      const { json } = await call("GET", `/jobs/${job.id}/outputs`);
      const report = json.items.find(({ role }: { role: string }) => role === "report");
      return (await fetch(report.download_url)).json();
    },
  };
}
