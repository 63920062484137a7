/**
 * Files that ask for far more than they weigh, all at once beside a job as usual: each ends by itself and cleanly, nothing
 * takes more memory than was planned, and the other job completes. How much of its speed that one keeps, `bench/bombs.ts`
 * measures.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { peakMiB } from "../../bench/lib/processes.ts";
import { type Api, makeApi } from "../support/api.ts";
import { BOMBS, type Bomb, placeBombs } from "../support/bombs.ts";
import { testEnv } from "../support/env.ts";
import { copyClip } from "../support/media.ts";
import { makeKey, makeSite, type RunningServer, type Site, startServer, untilClean } from "../support/server.ts";
import { until } from "../support/until.ts";

const MIB = 1024 * 1024;
const MEMORY_LIMIT_MIB = 4_096;
/** ffprobe's own: it looks before there is a plan. */
const PROBE_MIB = 4_096;
const LOOK_MS = 10;

let site: Site;
let server: RunningServer;
let api: Api;

beforeAll(async () => {
  site = await makeSite("embedded", {
    ...{ WORKER_CONCURRENCY: "3", MAX_ATTEMPTS: "1", JOB_TIMEOUT: "60s", STALL_TIMEOUT: "30s" },
    ...{ MEMORY_LIMIT: `${MEMORY_LIMIT_MIB}MiB`, FFMPEG_PATH: testEnv().ffmpeg9 },
    FFPROBE_PATH: testEnv().ffprobeStatic,
  });
  await placeBombs(site.storage);
  await copyClip(join(site.storage, "film.mp4"), { durationSeconds: 3, video: { width: 640, height: 360 }, audio: {} });
  const key = await makeKey(site);
  server = await startServer(site);
  api = makeApi(server.url, key);
}, 60_000);
afterAll(() => server.stop());

interface Watched {
  /** Of FFmpegs that ran at the same time, the most that their limits and they themselves came to, in MiB. */
  allowed: number;
  used: number;
  looks: number;
}

/** Of address space, in MiB; null when the process is gone. */
function limitOf(pid: number): number | null {
  try {
    const text = readFileSync(`/proc/${pid}/limits`, "utf8");
    return Number(/^Max address space +(\d+)/m.exec(text)?.[1] ?? Number.POSITIVE_INFINITY) / MIB;
  } catch {
    return null;
  }
}

function peakOf(pid: number): number {
  try {
    return peakMiB(pid) || 0;
  } catch {
    return 0;
  }
}

function look(watched: Watched): void {
  const running = server
    .media()
    .filter(({ name }) => /^ff(mpeg|probe)/.test(name))
    .map(({ pid, name }) => ({ name, limit: limitOf(pid), used: peakOf(pid) }))
    .filter((one): one is typeof one & { limit: number } => one.limit !== null);
  for (const { name, limit } of running) if (name.startsWith("ffprobe")) expect(limit).toBeLessThanOrEqual(PROBE_MIB);
  const encoding = running.filter(({ name }) => name.startsWith("ffmpeg"));
  const sum = (of: (one: (typeof running)[number]) => number): number =>
    encoding.reduce((total, one) => total + of(one), 0);
  watched.allowed = Math.max(
    watched.allowed,
    sum(({ limit }) => limit),
  );
  watched.used = Math.max(
    watched.used,
    sum(({ used }) => used),
  );
  watched.looks += encoding.length;
}

async function ending({ name, output, operations }: Bomb): Promise<readonly [name: string, outcome: string]> {
  const { id } = await api.convert({ input: name, output: `out/${name}.${output}`, operations });
  const { status, error } = await api.ended(id);
  const text = `${error?.message ?? ""} ${error?.hint ?? ""} ${error?.evidence ?? ""}`;
  expect([name, /\/(tmp|home|root|proc)\b|undefined|NaN/.test(text), text]).toEqual([name, false, text]);
  return [name, error?.kind ?? status];
}

test("bombs end by themselves, within their memory, beside a job that completes", async () => {
  const watched: Watched = { allowed: 0, used: 0, looks: 0 };
  const healthy = api.completed({
    ...{ input: "film.mp4", output: "film.mkv" },
    operations: [{ type: "transcode", video_codec: "h264", preset: "medium" }],
  });
  let over = false;
  const all = Promise.all([Promise.all(BOMBS.map(ending)), healthy]).finally(() => {
    over = true;
  });
  const looked = () => {
    look(watched);
    return over;
  };
  await until(looked, { timeoutMs: 80_000, intervalMs: LOOK_MS, what: "all jobs to end" });
  const [endings, done] = await all;
  for (const [n, [name, outcome]] of endings.entries()) {
    const expected = BOMBS[n]?.ends.test(outcome);
    expect([name, outcome, expected]).toEqual([name, outcome, true]);
  }
  expect(done.outputs[0]?.media.duration_seconds).toBeCloseTo(3, 0);
  expect(watched.looks).toBeGreaterThan(0);
  expect(watched.allowed).toBeLessThanOrEqual(MEMORY_LIMIT_MIB);
  expect(watched.used).toBeLessThanOrEqual(watched.allowed);
  await untilClean(site);
}, 90_000);
