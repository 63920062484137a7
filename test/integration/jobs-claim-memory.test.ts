/** Claims that begin where the last one ended: in which order, how late at most, and what they do not read. */
import { describe, expect, test } from "bun:test";
import type { Sql, SqlParam, SqlRunner } from "../../src/database/sql.ts";
import { claimJob } from "../../src/jobs/claim.ts";
import { ClaimMemory } from "../../src/jobs/claim-memory.ts";
import { giveBack } from "../../src/jobs/finish.ts";
import type { Claim, JobId } from "../../src/jobs/types.ts";
import { ENGINES, makeWorker, openQueue, openTestDatabase, submit, submitMany } from "../faults/protocol-harness.ts";

const WAYS = [false, true] as const;
const DEAD = 2_000;
const JOBS = DEAD + 50;
/** Spreads jobs that are neighbours in the queue over the table, so that each costs a page; shares no factor with JOBS. */
const STRIDE = 7_919;

for (const engine of ENGINES) {
  describe(engine, async () => {
    const { database, workerId } = await openQueue(engine);
    /** Its clock stands still until it is set. */
    function makeClaimer(routed: boolean) {
      const clock = { nowMs: 0 };
      const memory = new ClaimMemory(() => clock.nowMs);
      const claim = (): Promise<Claim | null> =>
        claimJob(database.sql, { workerId, jobTypes: null, priorities: null, routed }, memory);
      return { clock, claim, next: async (): Promise<JobId | null> => (await claim())?.job.id ?? null };
    }

    test.each([...WAYS])(
      "a job that was put back has its turn a second later, or when nothing else is left; by routes: %p",
      async (routed) => {
        const { clock, claim, next } = makeClaimer(routed);
        const [first = null, second = null, third = null, fourth = null] = await submitMany(database, 4);
        const held = await claim();
        expect(held?.job.id ?? null).toBe(first);
        expect(await next()).toBe(second);
        if (held !== null) expect(await giveBack(database.sql, held.lease)).toBe(true);
        expect(await next()).toBe(third);
        clock.nowMs += 1_000;
        const again = await claim();
        expect(again?.job.id ?? null).toBe(first);
        expect(await next()).toBe(fourth);
        if (again !== null) expect(await giveBack(database.sql, again.lease)).toBe(true);
        expect([await next(), await next()]).toEqual([first, null]);
      },
    );

    test.each([...WAYS])(
      "a more urgent class that was read to its end comes first again at once; by routes: %p",
      async (routed) => {
        const { next } = makeClaimer(routed);
        const [normal = null, later = null] = await submitMany(database, 2);
        const [high = null] = await submitMany(database, 1, { priority: "high" });
        expect([await next(), await next()]).toEqual([high, normal]);
        const [urgent = null] = await submitMany(database, 1, { priority: "high" });
        expect([await next(), await next()]).toEqual([urgent, later]);
      },
    );

    test("a claim by routes finds one that is new as soon as the known ones are empty", async () => {
      const { next } = makeClaimer(true);
      const [known = null] = await submitMany(database, 1);
      expect(await next()).toBe(known);
      const fresh = await submit(database, { type: "analyze" });
      expect([await next(), await next()]).toEqual([fresh, null]);
    });
  });
}

describe("while a transaction is open that sees the queue as it was", () => {
  /** The pages that the first statement of a claim reads. */
  async function pagesOf(sql: Sql, claim: (runner: SqlRunner) => Promise<unknown>): Promise<number> {
    let pages = 0;
    await claim({
      query: async <Row extends object>(text: string, params: readonly SqlParam[] = []): Promise<Row[]> => {
        const [row] = await sql.query<{ "QUERY PLAN": [{ Plan: Record<string, number> }] }>(
          `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${text}`,
          params,
        );
        const plan = row?.["QUERY PLAN"][0].Plan;
        pages ||= (plan?.["Shared Hit Blocks"] ?? 0) + (plan?.["Shared Read Blocks"] ?? 0);
        return [];
      },
    });
    return pages;
  }

  test.each([...WAYS])("a claim does not read those that were claimed meanwhile; by routes: %p", async (routed) => {
    const database = await openTestDatabase("postgres");
    const { sql, keyId } = database;
    const workerId = await makeWorker(sql);
    await sql.query(
      `INSERT INTO jobs (id, key_id, type, status, priority, queue_rank, spec)
       SELECT gen_random_uuid(), $1, 'convert', 'queued', 1, 1 + n::bigint * ${STRIDE} % ${JOBS}, '{}'
       FROM generate_series(1, ${JOBS}) n`,
      [keyId],
    );
    await sql.script("ANALYZE jobs");
    const memory = new ClaimMemory(() => 0);
    const request = { workerId, jobTypes: null, priorities: null, routed };
    await sql.transaction(async (before) => {
      await before.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ");
      await before.query("SELECT count(*) FROM jobs");
      await sql.query(`UPDATE jobs SET status = 'completed', completed_at = now() WHERE queue_rank <= ${DEAD}`);
      expect((await claimJob(sql, request, memory))?.job.queueRank).toBe(DEAD + 1);
      const fromMemory = await pagesOf(sql, (runner) => claimJob(runner, request, memory));
      const fromFront = await pagesOf(sql, (runner) => claimJob(runner, request));
      console.log(`pages: ${fromMemory} from where the last claim ended, ${fromFront} from the front`);
      expect(fromMemory).toBeLessThan(fromFront / 5);
    });
  });
});
