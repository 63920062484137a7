/** P5: claiming from a long queue against claiming from a short one, each in a database of its own on one Postgres. */
import postgres from "postgres";
import { migrate } from "../src/database/migrate.ts";
import { openPostgres } from "../src/database/postgres/open-postgres.ts";
import { json, type Sql } from "../src/database/sql.ts";
import { claimJob } from "../src/jobs/claim.ts";
import { registerWorker } from "../src/jobs/liveness.ts";
import { insertJob } from "../src/jobs/store.ts";
import type { JobId, KeyId, WorkerId } from "../src/jobs/types.ts";
import type { Capabilities } from "../src/media/types.ts";
import type { Bench, BenchContext } from "./lib/bench.ts";
import { startDurablePostgres } from "./lib/postgres.ts";
import { interleave } from "./lib/rounds.ts";
import type { Claim } from "./lib/verdict.ts";

const SHORT = 100;
const CLAIMS_A_ROUND = 250;

interface Queue {
  readonly sql: Sql;
  /** Milliseconds of each claim; the queue is as long afterwards as before. */
  claims(): Promise<number[]>;
}

async function makeQueue(serverUrl: string, name: string, length: number): Promise<Queue> {
  const admin = postgres(serverUrl, { max: 1, onnotice: () => {} });
  await admin.unsafe(`CREATE DATABASE ${name}`);
  await admin.end();
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  const sql = await openPostgres({ url: url.href, poolSize: 1, statementTimeoutMs: 120_000, applicationName: "bench" });
  await migrate(sql, {});
  const keyId = Bun.randomUUIDv7() as KeyId;
  await sql.query("INSERT INTO api_keys (id, name, role, digest) VALUES ($1, 'bench', 'user', $2)", [
    keyId,
    new Uint8Array(32),
  ]);
  const spec = { inputs: ["local://in.mp4"], output: "local://out.mp4", operations: [], options: {} };
  await sql.query(
    `INSERT INTO jobs (id, key_id, type, status, priority, queue_rank, spec)
     SELECT gen_random_uuid(), $1, 'convert', 'queued', 1, n, $2::jsonb FROM generate_series(1, $3::integer) n`,
    [keyId, json(spec), length],
  );
  await sql.query("VACUUM ANALYZE jobs");
  const workerId = Bun.randomUUIDv7() as WorkerId;
  await registerWorker(sql, {
    ...{ workerId, role: "worker", version: "0.0.0", slots: 1, jobTypes: ["convert"], priorities: ["normal"] },
    capabilities: {} as Capabilities,
  });
  return {
    sql,
    async claims() {
      const latenciesMs: number[] = [];
      for (let index = 0; index < CLAIMS_A_ROUND; index++) {
        const startedAt = performance.now();
        const claim = await claimJob(sql, { workerId, jobTypes: ["convert"], priorities: ["normal"] });
        latenciesMs.push(performance.now() - startedAt);
        if (claim === null) throw new Error("The queue was empty.");
        const id = Bun.randomUUIDv7() as JobId;
        await insertJob(sql, { id, keyId, type: "convert", priority: "normal", spec, metadata: {} });
      }
      return latenciesMs;
    },
  };
}

async function claim({ folder, long, say }: BenchContext): Promise<Claim[]> {
  await using database = await startDurablePostgres(folder);
  const length = long ? 1_000_000 : 100_000;
  const short = await makeQueue(database.url, "short", SHORT);
  say(`${length} queued jobs`);
  const full = await makeQueue(database.url, "long", length);
  await short.claims();
  await full.claims();
  const series = await interleave(
    { short: () => short.claims(), long: () => full.claims(), shortAgain: () => short.claims() },
    { roundsMin: 4, roundsMax: long ? 12 : 6, budgetMs: 40_000 },
  );
  await Promise.all([short.sql.close(), full.sql.close()]);
  const common = {
    kind: "ratio",
    goal: "P5",
    baselineName: `${SHORT} queued`,
    unit: "ms",
    bound: "most",
    baseline: series.short.flat(),
    baselineAgain: series.shortAgain.flat(),
    candidate: series.long.flat(),
  } as const;
  return [
    { ...common, what: `claim at ${length} queued`, limit: 1.5 },
    { ...common, what: "the same, p99", statistic: "p99", limit: 2 },
  ];
}

export const claimBench: Bench = { name: "claim", what: "claims from a long queue against a short one", run: claim };
