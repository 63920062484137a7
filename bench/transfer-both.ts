/**
 * P8, both sides: a job from the web to S3 at 10 MB/s each way, against its download, the same job on local files and the
 * upload of its output, one after another. The output has its index in front; of the sources one has it there, one at its end.
 */
import { copyFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { credentials, makeBucket } from "../test/integration/s3-subject.ts";
import { cleanUp } from "../test/support/cleanup.ts";
import { ACCESS_KEY, SECRET_KEY, startStore } from "../test/support/stores.ts";
import { startWebServer } from "../test/support/web-server.ts";
import type { Bench, BenchContext } from "./lib/bench.ts";
import { completeJob } from "./lib/client.ts";
import { makeClip } from "./lib/clips.ts";
import { startPacedRelay } from "./lib/paced-relay.ts";
import { programs, sha256OfFile } from "./lib/programs.ts";
import { interleave } from "./lib/rounds.ts";
import { median } from "./lib/stats.ts";
import { startSubject } from "./lib/subject.ts";
import type { Claim } from "./lib/verdict.ts";
import { withIndexInFront } from "./transfer.ts";

const BYTES_PER_SECOND = 10_000_000;
const SECONDS = 40;
/** What comes before the first byte and after the last (probes, verification, the first part) is then small beside the rest. */
const SECONDS_LONG = 120;
const MEGABITS_PER_SECOND = 16;

interface Walls {
  readonly all: number;
  readonly slowest: number;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

async function run({ folder, long, say }: BenchContext): Promise<Claim[]> {
  const clip = await makeClip({
    width: 1280,
    height: 720,
    seconds: long ? SECONDS_LONG : SECONDS,
    megabitsPerSecond: MEGABITS_PER_SECOND,
  });
  const source = await withIndexInFront(clip, folder);
  await using web = await startWebServer();
  web.put("/in.mp4", { bytes: await Bun.file(source).bytes(), rate: BYTES_PER_SECOND });
  web.put("/late.mp4", { bytes: await Bun.file(clip).bytes(), rate: BYTES_PER_SECOND });
  const store = await startStore("minio");
  const bucket = await makeBucket(store.url);
  await using line = await startPacedRelay(store.port, BYTES_PER_SECOND);
  const backend = { type: "s3", endpoint: line.url, bucket, conditional_writes: true, drops_unnamed_parts: true };
  const keys = { access_key_id_env: "STORE_KEY", secret_access_key_env: "STORE_SECRET" };
  await writeFile(join(folder, "storage.yml"), JSON.stringify({ backends: { store: { ...backend, ...keys } } }));
  const env = {
    ...{ FFMPEG_PATH: programs.ffmpeg, FFPROBE_PATH: programs.ffprobe, ALLOW_PRIVATE_NETWORKS: "127.0.0.1/32" },
    ...{ STORAGE_CONFIG: join(folder, "storage.yml"), STORE_KEY: ACCESS_KEY, STORE_SECRET: SECRET_KEY },
  };
  await using subject = await startSubject({ folder, env });
  await copyFile(source, join(subject.storage, "in.mp4"));
  const client = new S3Client({ endpoint: line.url, region: "us-east-1", forcePathStyle: true, credentials });
  const rate = { video_bitrate: "14M", max_bitrate: "14M", buffer_size: "14M" };
  const operations = [
    { type: "transcode", video_codec: "h264", preset: "ultrafast", ...rate },
    { type: "scale", width: 854, height: 480 },
  ];
  const job = (input: string, output: string) => completeJob(subject, { input, output, operations });
  const local = join(subject.storage, "local.mp4");
  const upload = async (): Promise<void> => {
    const body = await Bun.file(local).bytes();
    await client.send(new PutObjectCommand({ Bucket: bucket, Key: "apart.mp4", Body: body }));
  };
  const apart = async (): Promise<Walls> => {
    const parts = [
      await timed(async () => (await fetch(`${web.url}/in.mp4`)).bytes()),
      (await job("in.mp4", "local.mp4")).wallMs,
      await timed(upload),
    ];
    return { all: parts.reduce((sum, part) => sum + part, 0), slowest: Math.max(...parts) };
  };
  const from = (name: string) => async (): Promise<Walls> => {
    const { wallMs } = await job(`${web.url}/${name}`, `store://remote-${name}`);
    return { all: wallMs, slowest: wallMs };
  };
  await job("in.mp4", "local.mp4");
  const [inMb, outMb] = [source, local].map((path) => Math.round(Bun.file(path).size / 1e6));
  say(`${inMb} MB in, ${outMb} MB out, at 10 MB/s each way`);
  const series = await interleave(
    { apart, together: from("in.mp4"), late: from("late.mp4"), apartAgain: apart },
    { roundsMin: 3, roundsMax: long ? 20 : 5, budgetMs: long ? 900_000 : 150_000 },
  );
  const expected = await sha256OfFile(local);
  for (const name of ["in.mp4", "late.mp4"]) {
    const stored = await fetchObject(store.url, { Bucket: bucket, Key: `remote-${name}` });
    if (stored !== expected) throw new Error(`The output of ${name} in the store differs from the local job's.`);
  }
  client.destroy();
  await cleanUp();
  return toClaims(series, long, say);
}

const CANDIDATES = {
  together: "a job from the web to S3",
  late: "the same, its source's index at the end",
} as const;

type Series = Readonly<Record<"apart" | "apartAgain" | keyof typeof CANDIDATES, readonly Walls[]>>;

function toClaims(series: Series, long: boolean, say: BenchContext["say"]): Claim[] {
  const all = (samples: readonly Walls[]): number[] => samples.map((one) => one.all);
  const slowest = median([...series.apart, ...series.apartAgain].map((one) => one.slowest));
  return (["together", "late"] as const).flatMap((name): Claim[] => {
    const what = CANDIDATES[name];
    const overSlowest = median(all(series[name])) / slowest;
    say(`${what}: ${overSlowest.toFixed(2)} of the slowest stage`);
    const ratio: Claim = {
      ...{ kind: "ratio", goal: "P8", what, unit: "ms" },
      baselineName: "download, job, upload",
      baseline: all(series.apart),
      baselineAgain: all(series.apartAgain),
      candidate: all(series[name]),
      limit: 0.62,
      bound: "most",
    };
    if (!long) return [ratio];
    const figure = { kind: "figure", goal: "P8", unit: "x", limit: 1.1, isTime: false } as const;
    return [ratio, { ...figure, what: `${what}, over its slowest stage`, value: overSlowest }];
  });
}

/** The SHA-256 of what the job put there, past the paced line. */
async function fetchObject(endpoint: string, object: { Bucket: string; Key: string }): Promise<string> {
  const client = new S3Client({ endpoint, region: "us-east-1", forcePathStyle: true, credentials });
  const { Body } = await client.send(new GetObjectCommand(object));
  const bytes = await Body?.transformToByteArray();
  client.destroy();
  return new Bun.CryptoHasher("sha256").update(bytes ?? new Uint8Array()).digest("hex");
}

export const transferBothBench: Bench = {
  name: "transfer-both",
  what: "a remote input encoded while it is fetched, and its output sent while it is encoded",
  run,
};
