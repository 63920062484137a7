/** P6: `POST /convert` on one replica with Postgres, against bare inserts of the same row through the same driver. */
import { join } from "node:path";
import type { Bench, BenchContext } from "./lib/bench.ts";
import { createJob } from "./lib/client.ts";
import { type Load, runLoad } from "./lib/load.ts";
import { startDurablePostgres } from "./lib/postgres.ts";
import { cpuOf } from "./lib/processes.ts";
import { interleave } from "./lib/rounds.ts";
import { ADMIN_KEY, startSubject } from "./lib/subject.ts";
import type { Claim } from "./lib/verdict.ts";
import type { InsertOptions } from "./workers/insert.ts";
import type { PostOptions } from "./workers/post.ts";

const CONNECTIONS = 32;
/** DATABASE_POOL's default. */
const POOL_SIZE = 10;

const BODY = {
  input_path: "in.mp4",
  output_path: "out.mp4",
  operations: [
    { type: "transcode", video_codec: "h264", crf: 23, preset: "medium", audio_codec: "aac", audio_bitrate: "128k" },
    { type: "scale", width: 1280, height: "auto" },
  ],
  // Of the lowest class, which this worker does not serve: the rows stay.
  priority: "low",
  metadata: { customer: "1234", title: "A clip" },
};

const rates = (loads: readonly Load[]): number[] => loads.map(({ perSecond }) => perSecond);
const latencies = (loads: readonly Load[]): number[] => loads.flatMap(({ latenciesMs }) => latenciesMs);

async function submit({ folder, long, say }: BenchContext): Promise<Claim[]> {
  await using postgres = await startDurablePostgres(folder);
  const env = { DATABASE_URL: postgres.url, WORKER_PRIORITIES: "high", DATABASE_POOL: `${POOL_SIZE}` };
  await using subject = await startSubject({ folder: join(folder, "server"), env });
  await createJob(subject, BODY);
  const durationMs = long ? 10_000 : 3_000;
  const insertOptions: InsertOptions = { url: postgres.url, poolSize: POOL_SIZE, loops: CONNECTIONS, durationMs };
  const postOptions: PostOptions = {
    port: subject.port,
    path: "/api/v1/convert",
    headers: { "x-api-key": ADMIN_KEY, "content-type": "application/json" },
    body: JSON.stringify(BODY),
    loops: CONNECTIONS,
    durationMs,
  };
  await runLoad("post", { ...postOptions, durationMs: 1_000 });
  const before = cpuOf(subject.pid).own;
  const { bare, bareAgain, post } = await interleave(
    {
      bare: () => runLoad("insert", insertOptions),
      post: () => runLoad("post", postOptions),
      bareAgain: () => runLoad("insert", insertOptions),
    },
    { roundsMin: 4, roundsMax: long ? 12 : 6, budgetMs: 60_000 },
  );
  const perRequestMs = (1_000 * (cpuOf(subject.pid).own - before)) / latencies(post).length;
  say(`the server's own CPU: ${perRequestMs.toFixed(2)} ms a request`);
  const common = { kind: "ratio", goal: "P6", baselineName: "bare INSERT" } as const;
  return [
    {
      ...common,
      what: `POST /convert over ${CONNECTIONS} connections, committed`,
      unit: "/s",
      baseline: rates(bare),
      baselineAgain: rates(bareAgain),
      candidate: rates(post),
      limit: 0.7,
      bound: "least",
    },
    {
      ...common,
      what: "the same, p99",
      unit: "ms",
      statistic: "p99",
      baseline: latencies(bare),
      baselineAgain: latencies(bareAgain),
      candidate: latencies(post),
      limit: 2,
      bound: "most",
    },
  ];
}

export const submitBench: Bench = {
  name: "submit",
  what: "POST /convert against bare inserts of the same row",
  run: submit,
};
