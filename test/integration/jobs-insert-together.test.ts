/** Submissions that come together share a statement, and nothing else: neither a fault nor a place in the queue. */
import { describe, expect, test } from "bun:test";
import type { SqlRunner } from "../../src/database/sql.ts";
import { RendiffError, toRendiffError } from "../../src/errors.ts";
import { type InsertTogether, makeInsertTogether } from "../../src/jobs/insert-together.ts";
import { getJob, type NewJob } from "../../src/jobs/store.ts";
import type { KeyId } from "../../src/jobs/types.ts";
import { counting, ENGINES, insertKey, newJobId, openTestDatabase } from "../faults/protocol-harness.ts";

const newJob = (keyId: KeyId, overrides: Partial<NewJob> = {}): NewJob => ({
  ...{ id: newJobId(), keyId, type: "convert", priority: "normal", metadata: { title: "A 'clip', \"x\" \\ €" } },
  spec: { inputs: ["local://in.mov"], operations: [] },
  ...overrides,
});

/** The jobs or the kinds of their errors, in the order they were given. */
async function insertAll(together: InsertTogether, jobs: readonly NewJob[]) {
  const settled = await Promise.allSettled(jobs.map(together));
  return settled.map((one) => (one.status === "fulfilled" ? one.value : toRendiffError(one.reason).kind));
}

/** Answers nothing until it is told to. */
function held(sql: SqlRunner) {
  const open = Promise.withResolvers<void>();
  const query: SqlRunner["query"] = async (text, params) => {
    await open.promise;
    return sql.query(text, params);
  };
  return { sql: { query }, open: open.resolve };
}

describe.each([...ENGINES])("%s", (engine) => {
  test("many at once are a few statements, and each has its own job, event and place", async () => {
    const { sql, keyId } = await openTestDatabase(engine);
    const other = await insertKey(sql);
    const counted = counting(sql);
    const jobs = Array.from({ length: 100 }, (_, index) =>
      newJob(index % 4 === 0 ? other : keyId, { priority: index % 2 === 0 ? "low" : "normal", requestId: `r${index}` }),
    );
    const inserted = await insertAll(makeInsertTogether(counted), jobs);
    // The first goes at once and alone, so does the second; the rest waits and shares.
    expect(counted.texts.length).toBeLessThanOrEqual(4);
    for (const [index, job] of jobs.entries()) {
      expect(inserted[index]).toEqual((await getJob(sql, { jobId: job.id, keyId: job.keyId })) ?? undefined);
      expect(inserted[index]).toMatchObject({ priority: job.priority, requestId: `r${index}`, metadata: job.metadata });
    }
    const events = await sql.query<{ job_id: string; data: unknown }>(
      "SELECT job_id, data FROM job_logs WHERE seq = 1",
    );
    expect(new Map(events.map(({ job_id, data }) => [job_id, data]))).toEqual(
      new Map(jobs.map(({ id, type, priority }) => [id as string, { type, priority }])),
    );
    // Two statements can run side by side and begin at the same place; those of one statement lie one behind the other.
    const crowds = await sql.query("SELECT 1 FROM jobs GROUP BY key_id, priority, queue_rank HAVING count(*) > 2");
    expect(crowds).toEqual([]);
  });

  test("a key's jobs of one statement lie behind each other by its weight", async () => {
    const { sql, keyId } = await openTestDatabase(engine);
    await sql.query("UPDATE api_keys SET weight = 4 WHERE id = $1", [keyId]);
    const { sql: slow, open } = held(sql);
    const together = makeInsertTogether(slow);
    // Two are under way; the three behind them share a statement.
    const jobs = Array.from({ length: 5 }, () => newJob(keyId));
    const all = insertAll(together, jobs);
    open();
    const ranks = (await all).slice(2).map((job) => (typeof job === "string" ? Number.NaN : job.queueRank));
    expect(ranks.map((rank) => rank - (ranks[0] ?? 0))).toEqual([0, 0.25, 0.5]);
  });

  test("one that cannot be stored fails alone", async () => {
    const { sql, keyId } = await openTestDatabase(engine);
    const { sql: slow, open } = held(sql);
    const together = makeInsertTogether(slow);
    const jobs = Array.from({ length: 8 }, () => newJob(keyId));
    jobs[4] = newJob(newJobId() as unknown as KeyId);
    jobs[6] = newJob(keyId, { metadata: { nul: "\u0000" } });
    const all = insertAll(together, jobs);
    open();
    const outcomes = (await all).map((one) => (typeof one === "string" ? one : "stored"));
    expect(outcomes.filter((outcome) => outcome === "stored")).toHaveLength(6);
    expect(outcomes[4]).toBe("database.conflict");
    expect(outcomes[6]).toBe("internal");
    expect(await sql.query("SELECT id FROM jobs")).toHaveLength(6);
    // What failed leaves nothing behind for those that come later.
    expect(await insertAll(together, [newJob(keyId)])).not.toContain("internal");
  });
});

test("what may have been committed is not tried again", async () => {
  const { sql, keyId } = await openTestDatabase("postgres");
  let calls = 0;
  const open = Promise.withResolvers<void>();
  const query: SqlRunner["query"] = async (text, params) => {
    calls += 1;
    await open.promise;
    await sql.query(text, params);
    // The commit happened, its answer was lost.
    await sql.query("SELECT pg_terminate_backend(pg_backend_pid())");
    return [];
  };
  const all = insertAll(
    makeInsertTogether({ query }),
    Array.from({ length: 10 }, () => newJob(keyId)),
  );
  open.resolve();
  expect(new Set(await all)).toEqual(new Set(["database.unavailable"]));
  expect(calls).toBe(3);
  expect(await sql.query("SELECT id FROM jobs")).toHaveLength(10);
});

test("behind a database that does not answer nobody waits for more than one deadline", async () => {
  const { sql, keyId } = await openTestDatabase("postgres");
  let frozen = true;
  let calls = 0;
  const query: SqlRunner["query"] = async (text, params) => {
    calls += 1;
    if (!frozen) return await sql.query(text, params);
    throw new RendiffError({ kind: "database.timeout", publicMessage: "The database did not answer in time." });
  };
  const together = makeInsertTogether({ query });
  const jobs = Array.from({ length: 500 }, () => newJob(keyId));
  expect(new Set(await insertAll(together, jobs))).toEqual(new Set(["database.timeout"]));
  // Two that were alone, and at most one behind each.
  expect(calls).toBeLessThanOrEqual(4);
  frozen = false;
  expect(await insertAll(together, [newJob(keyId)])).not.toContain("database.timeout");
  expect(await sql.query("SELECT id FROM jobs")).toHaveLength(1);
});
