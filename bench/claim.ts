/** P5: claiming from a long queue against claiming from a short one, each in a database of its own on one Postgres. */
import postgres from "postgres";
import { migrate } from "../src/database/migrate.ts";
import { openPostgres } from "../src/database/postgres/open-postgres.ts";
import { json, type Sql } from "../src/database/sql.ts";
import { claimJob } from "../src/jobs/claim.ts";
import { ClaimMemory } from "../src/jobs/claim-memory.ts";
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
const FILL_AT_ONCE = 50_000;

/** How long a transaction has been open when claims are measured beside it, and how many there are meanwhile. */
const HELD_MS = 5_000;
const HELD_LONG_MS = 60_000;
const CLAIMS_A_SECOND = 100;

interface Queue {
  readonly sql: Sql;
  readonly url: string;
  /** Milliseconds of each claim; the queue is as long afterwards as before. `paceMs`: how long from one to the next. */
  claims(count?: number, paceMs?: number): Promise<number[]>;
}

async function makeQueue(serverUrl: string, name: string, length: number, finished = 0): Promise<Queue> {
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
  const fill = async (status: "queued" | "completed", count: number): Promise<void> => {
    for (let from = 1; from <= count; from += FILL_AT_ONCE) {
      await sql.query(
        `INSERT INTO jobs (id, key_id, type, status, priority, queue_rank, spec, completed_at)
         SELECT gen_random_uuid(), $1, 'convert', $2::text, 1, n, $3::jsonb, CASE WHEN $2 = 'completed' THEN now() END
         FROM generate_series($4::integer, $5::integer) n`,
        [keyId, status, json(spec), from, Math.min(count, from + FILL_AT_ONCE - 1)],
      );
    }
  };
  await fill("queued", length);
  await fill("completed", finished);
  await sql.query("VACUUM ANALYZE jobs");
  const workerId = Bun.randomUUIDv7() as WorkerId;
  await registerWorker(sql, {
    ...{ workerId, role: "worker", version: "0.0.0", slots: 1, jobTypes: ["convert"], priorities: ["normal"] },
    capabilities: {} as Capabilities,
  });
  // As a worker has one.
  const memory = new ClaimMemory();
  return {
    sql,
    url: url.href,
    async claims(count = CLAIMS_A_ROUND, paceMs = 0) {
      const latenciesMs: number[] = [];
      // As autovacuum does: plans that were made for a table of a hundred rows would go on reading all of it.
      await sql.query("ANALYZE jobs");
      for (let index = 0; index < count; index++) {
        const startedAt = performance.now();
        const claim = await claimJob(sql, { workerId, jobTypes: ["convert"], priorities: ["normal"] }, memory);
        latenciesMs.push(performance.now() - startedAt);
        if (claim === null) throw new Error("The queue was empty.");
        const id = Bun.randomUUIDv7() as JobId;
        await insertJob(sql, { id, keyId, type: "convert", priority: "normal", spec, metadata: {} });
        if (paceMs > 0) await Bun.sleep(paceMs);
      }
      return latenciesMs;
    },
  };
}

/** A transaction that sees all rows as they were, and so keeps every dead one; resolves when it has lasted a while. */
async function hold({ url, claims }: Queue, heldMs: number): Promise<AsyncDisposable> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  const connection = await sql.reserve();
  await connection`BEGIN ISOLATION LEVEL REPEATABLE READ`;
  await connection`SELECT count(*) FROM jobs`;
  await claims((heldMs / 1_000) * CLAIMS_A_SECOND, 1_000 / CLAIMS_A_SECOND);
  return {
    async [Symbol.asyncDispose]() {
      await connection`ROLLBACK`;
      connection.release();
      await sql.end();
    },
  };
}

async function claim({ folder, long, say }: BenchContext): Promise<Claim[]> {
  await using database = await startDurablePostgres(folder);
  const length = long ? 1_000_000 : 100_000;
  const heldMs = long ? HELD_LONG_MS : HELD_MS;
  const short = await makeQueue(database.url, "short", SHORT);
  say(`${length} queued jobs, and ${length} finished ones`);
  const full = await makeQueue(database.url, "long", length);
  const finished = await makeQueue(database.url, "finished", SHORT, length);
  const held = await makeQueue(database.url, "held", SHORT);
  for (const queue of [short, full, finished]) await queue.claims();
  say(`a transaction open for ${heldMs / 1_000} s`);
  const transaction = await hold(held, heldMs);
  const series = await interleave(
    {
      short: () => short.claims(),
      long: () => full.claims(),
      finished: () => finished.claims(),
      held: () => held.claims(),
      shortAgain: () => short.claims(),
    },
    { roundsMin: 4, roundsMax: long ? 12 : 6, budgetMs: 40_000 },
  );
  await transaction[Symbol.asyncDispose]();
  await Promise.all([short, full, finished, held].map(({ sql }) => sql.close()));
  const common = {
    kind: "ratio",
    goal: "P5",
    baselineName: `${SHORT} queued`,
    unit: "ms",
    bound: "most",
    baseline: series.short.flat(),
    baselineAgain: series.shortAgain.flat(),
  } as const;
  const both = (what: string, candidate: readonly number[]): Claim[] => [
    { ...common, what, candidate, limit: 1.5 },
    { ...common, what: `${what}, p99`, candidate, statistic: "p99", limit: 2 },
  ];
  return [
    ...both(`claim at ${length} queued`, series.long.flat()),
    ...both(`claim beside ${length} finished`, series.finished.flat()),
    {
      ...{ ...common, what: `claim with a transaction open for ${heldMs / 1_000} s`, limit: 2 },
      candidate: series.held.flat(),
    },
  ];
}

export const claimBench: Bench = {
  name: "claim",
  what: "claims from a long queue, beside many finished jobs, and beside an open transaction, against a short queue",
  run: claim,
};
