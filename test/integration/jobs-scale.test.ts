/** Lists and claims where very many jobs are kept: which indexes they use, and how long they take. A million in the long run. */
import { beforeAll, describe, expect, test } from "bun:test";
import type { Sql, SqlRunner } from "../../src/database/sql.ts";
import { claimJob } from "../../src/jobs/claim.ts";
import { type JobPageRequest, listJobs, TOTAL_MAX } from "../../src/jobs/list.ts";
import type { KeyId, WorkerId } from "../../src/jobs/types.ts";
import { insertKey, makeWorker, openTestDatabase } from "../faults/protocol-harness.ts";
import { testEnv } from "../support/env.ts";

const { long } = testEnv();
const JOBS = long ? 1_000_000 : 20_000;
const QUEUED = JOBS / 4;
/** Half of all jobs are one key's, the rest a hundred others'. */
const OTHER_KEYS = 100;
/** The oldest is a year old. */
const APART_SECONDS = (365 * 86_400) / JOBS;
const TIMES = 20;
/** Of the busiest machine; one that reads all of a million takes seconds there. */
const LIST_MS_MAX = 150;
const CLAIM_MS_MAX = 20;
const FILL_AT_ONCE = 20_000;
const FILL_MS = 1_200_000;

const FILL = `
INSERT INTO jobs (id, key_id, type, status, priority, queue_rank, spec, metadata, created_at, completed_at, error)
SELECT made.id, CASE WHEN n % 2 = 0 THEN $1::uuid ELSE ($2::uuid[])[1 + n % ${OTHER_KEYS}] END,
  CASE WHEN n % 1000 = 0 THEN 'analyze' ELSE 'convert' END,
  CASE WHEN n > ${JOBS - QUEUED} THEN 'queued' WHEN n % 200 = 0 THEN 'failed' ELSE 'completed' END, n % 3, n,
  '{"inputs": ["local:///a.mp4"], "output": "local:///b.mp4", "operations": [], "options": {}}',
  jsonb_build_object('order', n), at, CASE WHEN n <= ${JOBS - QUEUED} THEN at END,
  CASE WHEN n <= ${JOBS - QUEUED} AND n % 200 = 0 THEN '{}'::jsonb END
FROM generate_series($3::integer, $4::integer) n,
  LATERAL (SELECT now() - (${JOBS} - n) * interval '${APART_SECONDS} seconds' AS at) created,
  LATERAL (SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7000' || '8' ||
    lpad(to_hex(n), 15, '0'))::uuid AS id) made`;

/** Notes the statements that go by. */
function noting(sql: SqlRunner, statements: { text: string; params: readonly unknown[] }[]): SqlRunner {
  return {
    ...sql,
    query: (text, params = []) => {
      statements.push({ text, params });
      return sql.query(text, params);
    },
  };
}

const median = (all: readonly number[]): number => all.toSorted((a, b) => a - b)[Math.floor(all.length / 2)] ?? 0;

describe(`${JOBS} jobs`, () => {
  let sql: Sql;
  let keyId: KeyId;
  let workerId: WorkerId;

  beforeAll(async () => {
    const opened = await openTestDatabase("postgres");
    ({ sql, keyId } = opened);
    const others = await Promise.all(Array.from({ length: OTHER_KEYS }, () => insertKey(sql)));
    for (let from = 1; from <= JOBS; from += FILL_AT_ONCE) {
      await sql.query(FILL, [keyId, others, from, Math.min(JOBS, from + FILL_AT_ONCE - 1)]);
    }
    await sql.script("ANALYZE jobs");
    workerId = await makeWorker(sql);
  }, FILL_MS);

  const pages: readonly (readonly [string, Partial<JobPageRequest>])[] = [
    ["the newest", {}],
    ["the oldest", { sort: "created_at" }],
    ["far back", { offset: 5_000 }],
    ["the failed", { status: ["failed"] }],
    ["none at all", { status: ["processing"] }],
    ["of a rare type", { type: ["analyze"] }],
    ["of the last hour", { createdAfter: new Date(Date.now() - 3_600_000) }],
    ["of long ago", { createdBefore: new Date(Date.now() - 360 * 86_400_000) }],
    ["by the client's metadata", { metadata: { order: "4242" } }],
    ["of a batch that is none", { batchId: Bun.randomUUIDv7() }],
  ];

  test.each([...pages])("a page of the key that has half of them, %s: no scan of all, and soon", async (_, filter) => {
    const statements: { text: string; params: readonly unknown[] }[] = [];
    const page = { keyId, sort: "-created_at", limit: 50, ...filter } as const;
    const found = await listJobs(noting(sql, statements), page);
    const plans: string[] = [];
    for (const { text, params } of statements) {
      const rows = await sql.query<{ "QUERY PLAN": string }>(`EXPLAIN ${text}`, params as never);
      plans.push(rows.map((row) => row["QUERY PLAN"]).join("\n"));
    }
    // Counting ends at ten thousand, which any way is quick where every other row is one of them.
    const countIsShort = found.total >= Math.min(TOTAL_MAX, JOBS / 4);
    expect(countIsShort ? "" : plans[0]).not.toContain("Seq Scan on jobs");
    expect(plans[1]).not.toContain("Seq Scan on jobs");
    const tookMs: number[] = [];
    for (let time = 0; time < TIMES; time++) {
      const startedAtMs = performance.now();
      await listJobs(sql, page);
      tookMs.push(performance.now() - startedAtMs);
    }
    console.log(
      `${JSON.stringify(filter)}: p50 ${median(tookMs).toFixed(1)} ms, max ${Math.max(...tookMs).toFixed(1)} ms`,
    );
    expect(median(tookMs)).toBeLessThan(LIST_MS_MAX);
  });

  test("a claim takes the head of an index", async () => {
    const tookMs: number[] = [];
    for (let time = 0; time < TIMES; time++) {
      const startedAtMs = performance.now();
      expect(
        await claimJob(sql, { workerId, jobTypes: ["convert"], priorities: ["high", "normal", "low"] }),
      ).not.toBeNull();
      tookMs.push(performance.now() - startedAtMs);
    }
    console.log(`claim: p50 ${median(tookMs).toFixed(1)} ms, max ${Math.max(...tookMs).toFixed(1)} ms`);
    expect(median(tookMs)).toBeLessThan(CLAIM_MS_MAX);
  });
});
