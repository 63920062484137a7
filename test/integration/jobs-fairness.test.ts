/** Who is next: shares between keys, ageing between classes, paused classes. */
import { describe, expect, test } from "bun:test";
import { ageJobs } from "../../src/jobs/ageing.ts";
import { failJob } from "../../src/jobs/attempt-writes.ts";
import { claimJob } from "../../src/jobs/claim.ts";
import { pauseClasses, resumeClasses } from "../../src/jobs/pauses.ts";
import { readyHints } from "../../src/jobs/ready.ts";
import { getJob, setPriority } from "../../src/jobs/store.ts";
import type { Claim, JobId, KeyId, Priority } from "../../src/jobs/types.ts";
import { ENGINES, insertKey, openQueue, submit, submitMany } from "../faults/protocol-harness.ts";

const ANY = { jobTypes: null, priorities: null } as const;
const FAILURE = { kind: "input.unreadable", message: "", retryable: false, evidence: null, hint: null } as const;
const HOUR_MS = 3_600_000;

for (const engine of ENGINES) {
  describe(engine, async () => {
    const { database, workerId } = await openQueue(engine);

    const keyOf = async (weight: number): Promise<KeyId> => {
      const keyId = await insertKey(database.sql);
      await database.sql.query("UPDATE api_keys SET weight = $2::real WHERE id = $1", [keyId, weight]);
      return keyId;
    };
    const next = async (): Promise<Claim> => {
      const claim = await claimJob(database.sql, { workerId, ...ANY });
      if (claim === null) throw new Error("Nothing could be claimed.");
      return claim;
    };
    const end = ({ lease }: Claim) => failJob(database.sql, lease, { ...FAILURE, retry: "never" }, { maxAttempts: 1 });
    /** Runs `count` jobs one after another; whose they were. */
    async function run(count: number): Promise<KeyId[]> {
      const keys: KeyId[] = [];
      for (let n = 0; n < count; n += 1) {
        const claim = await next();
        keys.push(claim.job.keyId);
        await end(claim);
      }
      return keys;
    }
    const hoursAgo = (id: JobId, hours: number) =>
      database.sql.query("UPDATE jobs SET run_at = now() - $2::double precision * interval '1 hour' WHERE id = $1", [
        id,
        hours,
      ]);

    test("a key with much in the queue does not stop one with little, however late it comes", async () => {
      const [many, few] = [await keyOf(1), await keyOf(1)];
      await submitMany(database, 60, { keyId: many });
      const held = await next();
      await submitMany(database, 2, { keyId: few });
      await end(held);
      const order = await run(6);
      expect(order.filter((key) => key === few)).toHaveLength(2);
    });

    test("shares follow the weights", async () => {
      const [heavy, light] = [await keyOf(3), await keyOf(1)];
      await submitMany(database, 40, { keyId: light });
      await submitMany(database, 40, { keyId: heavy });
      const order = await run(40);
      const share = order.filter((key) => key === heavy).length;
      expect(share).toBeGreaterThanOrEqual(28);
      expect(share).toBeLessThanOrEqual(32);
    });

    test("a key that was idle gets no credit for it", async () => {
      const [busy, idle] = [await keyOf(1), await keyOf(1)];
      await submitMany(database, 40, { keyId: busy });
      await run(20);
      // One runs at the moment: the class's time is where it is, not where it began.
      const held = await next();
      await submitMany(database, 20, { keyId: idle });
      await end(held);
      const order = await run(20);
      expect(Math.abs(order.filter((key) => key === idle).length - 10)).toBeLessThanOrEqual(1);
    });

    test("one key's jobs run in the order they came", async () => {
      const keyId = await keyOf(0.5);
      const ids: JobId[] = [];
      for (let n = 0; n < 10; n += 1) ids.push(await submit(database, { keyId }));
      expect((await readyHints(database.sql, { limit: 20 })).map(({ jobId }) => jobId)).toEqual(ids);
    });

    test("classes are strict, and what waits long moves up one by one, keeping its priority", async () => {
      const keyId = await keyOf(1);
      const old = await submit(database, { keyId, priority: "low" });
      await submitMany(database, 3, { keyId, priority: "normal" });
      const age = () => ageJobs(database.sql, { afterMs: HOUR_MS, limit: 10 });
      expect(await age()).toEqual([]);
      await hoursAgo(old, 1.5);
      expect(await age()).toEqual([expect.objectContaining({ jobId: old, priority: "normal" })]);
      expect(await age()).toEqual([]);
      await submitMany(database, 3, { keyId, priority: "high" });
      await hoursAgo(old, 2.5);
      expect(await age()).toEqual([expect.objectContaining({ jobId: old, priority: "high" })]);
      expect((await readyHints(database.sql, { limit: 20 })).map(({ priority }) => priority)).toEqual([
        ...["high", "high", "high", "high", "normal", "normal", "normal"],
      ] as Priority[]);
      expect(await getJob(database.sql, { jobId: old, keyId: null })).toMatchObject({ priority: "low" });
      await setPriority(database.sql, { jobId: old, keyId: null, priority: "normal" });
      const hints = await readyHints(database.sql, { limit: 20 });
      expect(hints.find(({ jobId }) => jobId === old)?.priority).toBe("normal");
    });

    test("a paused class is neither hinted nor claimed until it is resumed", async () => {
      const keyId = await keyOf(1);
      const id = await submit(database, { keyId, priority: "high" });
      await submit(database, { keyId, priority: "low" });
      await pauseClasses(database.sql, ["high"], "somebody");
      await pauseClasses(database.sql, ["high", "normal"], "somebody");
      expect((await readyHints(database.sql, { limit: 20 })).map(({ priority }) => priority)).toEqual(["low"]);
      expect(await claimJob(database.sql, { workerId, ...ANY, jobId: id })).toBeNull();
      expect((await next()).job.priority).toBe("low");
      await resumeClasses(database.sql, ["high"]);
      expect((await next()).job.id).toBe(id);
    });
  });
}
