/** P10: start-up, memory at rest, memory by the size of a job and over many jobs, of the binary. */
import { writeFileSync } from "node:fs";
import { link, mkdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { startRedis } from "../test/support/servers.ts";
import type { Bench, BenchContext } from "./lib/bench.ts";
import { completeJob } from "./lib/client.ts";
import { loopClip, makeClip } from "./lib/clips.ts";
import { startDurablePostgres } from "./lib/postgres.ts";
import { peakMiB, residentMiB } from "./lib/processes.ts";
import { programs } from "./lib/programs.ts";
import { interleave } from "./lib/rounds.ts";
import { median, spread } from "./lib/stats.ts";
import { type Subject, startSubject } from "./lib/subject.ts";
import type { Claim } from "./lib/verdict.ts";

const MB = 1_000_000;
const SETTLE_MS = 3_000;
const FAST = (): Record<string, string> => ({
  FFMPEG_PATH: programs.ffmpegStatic,
  FFPROBE_PATH: programs.ffprobeStatic,
});

const figure = { kind: "figure", goal: "P10" } as const;

async function startUp(folder: string, long: boolean): Promise<Claim[]> {
  const at = join(folder, "start");
  const started = async (): Promise<number> => {
    await using subject = await startSubject({ folder: at });
    return subject.readyMs;
  };
  const first = await started();
  const warm: number[] = [];
  for (let index = 0; index < (long ? 30 : 7); index++) warm.push(await started());
  return [
    { ...figure, what: "ready at the first start", unit: "ms", value: first, limit: null, isTime: true },
    {
      ...figure,
      what: "ready, warm",
      unit: "ms",
      value: median(warm),
      limit: 1_200,
      isTime: true,
      spread: spread(warm),
    },
  ];
}

/** Copies the streams of `name`; the most that the server itself held meanwhile. */
async function peakOfCopy(subject: Subject, name: string): Promise<number> {
  writeFileSync(`/proc/${subject.pid}/clear_refs`, "5");
  await completeJob(subject, { input_path: name, output_path: `copy-of-${name}`, operations: [] });
  const peak = peakMiB(subject.pid);
  await rm(join(subject.storage, `copy-of-${name}`));
  return peak;
}

async function bySize(subject: Subject, bigBytes: number, say: (text: string) => void): Promise<Claim> {
  const source = await makeClip({ width: 1280, height: 720, seconds: 60 });
  for (const [name, bytes] of [
    ["small.mp4", bigBytes / 100],
    ["big.mp4", bigBytes],
  ] as const) {
    const path = join(subject.storage, name);
    await loopClip(source, bytes, path);
    say(`${name}: ${((await stat(path)).size / MB).toFixed(1)} MB`);
  }
  await peakOfCopy(subject, "small.mp4");
  const small = () => peakOfCopy(subject, "small.mp4");
  const series = await interleave(
    { small, big: () => peakOfCopy(subject, "big.mp4"), smallAgain: small },
    { roundsMin: 3, roundsMax: 3, budgetMs: 0 },
  );
  await rm(join(subject.storage, "big.mp4"));
  return {
    kind: "ratio",
    goal: "P10",
    what: `the server's memory in a job of ${bigBytes / MB} MB`,
    baselineName: `of ${bigBytes / MB / 100} MB`,
    unit: "MiB",
    baseline: series.small,
    baselineAgain: series.smallAgain,
    candidate: series.big,
    limit: 1.2,
    bound: "most",
  };
}

async function overManyJobs(subject: Subject, jobs: number): Promise<Claim> {
  const clip = await makeClip({ width: 64, height: 48, seconds: 1 });
  await link(clip, join(subject.storage, "tiny.mp4")).catch(() =>
    Bun.write(join(subject.storage, "tiny.mp4"), Bun.file(clip)),
  );
  const resident: number[] = [];
  for (let index = 0; index < jobs; index++) {
    await completeJob(subject, { input_path: "tiny.mp4", output_path: `many/${index}.mp4`, operations: [] });
    resident.push(residentMiB(subject.pid));
  }
  const quarter = jobs / 4;
  const growth = median(resident.slice(-quarter)) / median(resident.slice(quarter, 2 * quarter));
  return {
    ...figure,
    what: `memory in the last quarter of ${jobs} jobs over the second quarter's`,
    unit: "×",
    value: growth,
    limit: 1.1,
    isTime: false,
  };
}

/** A replica of each sort, on a Postgres and a Redis, with what its FFmpeg can do already known. */
async function inCluster(folder: string, role: "api" | "combined", long: boolean): Promise<Claim[]> {
  const at = join(folder, role);
  const storage = join(folder, "shared");
  await mkdir(storage, { recursive: true });
  await using database = await startDurablePostgres(at);
  await using redis = await startRedis(join(at, "redis"));
  const env = {
    ...{ ...FAST(), DATABASE_URL: database.url, REDIS_URL: redis.url, STORAGE_PATH: storage, RENDIFF_ROLE: role },
  };
  const start = (): Promise<Subject> => startSubject({ folder: join(at, "replica"), env });
  await (await start())[Symbol.asyncDispose]();
  const warm: number[] = [];
  for (let index = 0; index < (long ? 30 : 7); index++) {
    await using subject = await start();
    warm.push(subject.readyMs);
  }
  await using subject = await start();
  await Bun.sleep(SETTLE_MS);
  const what = `cluster, ${role}`;
  return [
    {
      ...figure,
      what: `ready, warm, ${what}`,
      ...{ unit: "ms", value: median(warm), limit: 150, isTime: true, spread: spread(warm) },
    },
    {
      ...figure,
      what: `memory at rest, ${what}`,
      ...{ unit: "MiB", value: residentMiB(subject.pid), limit: 90, isTime: false },
    },
  ];
}

async function footprint({ folder, long, say }: BenchContext): Promise<Claim[]> {
  const claims = await startUp(folder, long);
  await using subject = await startSubject({ folder: join(folder, "jobs"), env: FAST() });
  await Bun.sleep(SETTLE_MS);
  const idle = residentMiB(subject.pid);
  claims.push({ ...figure, what: "memory at rest", unit: "MiB", value: idle, limit: 350, isTime: false });
  claims.push(await bySize(subject, (long ? 4_000 : 400) * MB, say));
  claims.push(await overManyJobs(subject, long ? 10_000 : 200));
  for (const role of ["api", "combined"] as const) claims.push(...(await inCluster(folder, role, long)));
  return claims;
}

export const footprintBench: Bench = {
  name: "footprint",
  what: "start-up and memory of the binary",
  run: footprint,
};
