/** A key's limit on running jobs: further ones wait their turn, whoever claims and however many at once. */
import { describe, expect, test } from "bun:test";
import { failJob, giveBack } from "../../src/jobs/attempt-writes.ts";
import { claimJob } from "../../src/jobs/claim.ts";
import { KEY_HAS_ROOM, KEY_IS_UNCHANGED } from "../../src/jobs/guards.ts";
import type { Claim, JobId, KeyId } from "../../src/jobs/types.ts";
import {
  counting,
  ENGINES,
  insertKey,
  makeWorker,
  openTestDatabase,
  submit,
  submitMany,
  type TestDatabase,
  without,
} from "../faults/protocol-harness.ts";

const ANY = { jobTypes: null, priorities: null } as const;
const FAILURE = {
  kind: "input.unreadable",
  message: "",
  retryable: false,
  evidence: null,
  hint: null,
  retry: "never",
} as const;

async function limitedKey({ sql }: TestDatabase, limit: number): Promise<KeyId> {
  const keyId = await insertKey(sql);
  await sql.query("UPDATE api_keys SET max_concurrent_jobs = $2::integer WHERE id = $1", [keyId, limit]);
  return keyId;
}

async function running({ sql }: TestDatabase, keyId: KeyId): Promise<number> {
  const rows = await sql.query("SELECT id FROM jobs WHERE key_id = $1 AND status = 'processing'", [keyId]);
  return rows.length;
}

for (const engine of ENGINES) {
  describe(engine, async () => {
    const database = await openTestDatabase(engine);
    const workerId = await makeWorker(database.sql);

    const end = (claim: Claim) => failJob(database.sql, claim.lease, FAILURE, { maxAttempts: 1 });
    const next = () => claimJob(database.sql, { workerId, ...ANY });

    test("a key at its limit is passed over, others are not, and a job that ended makes room in order", async () => {
      const keyId = await limitedKey(database, 2);
      const [first, second, third, fourth] = await submitMany(database, 4, { keyId });
      const other = await submit(database);
      const claims: (Claim | null)[] = [];
      for (let n = 0; n < 3; n += 1) claims.push(await next());
      expect(claims.map((claim) => claim?.job.id)).toEqual([first, second, other]);
      expect(await next()).toBeNull();
      expect(await claimJob(database.sql, { workerId, ...ANY, jobId: third as JobId })).toBeNull();
      await end(claims[1] as Claim);
      const freed = await next();
      expect(freed?.job.id).toBe(third as JobId);
      expect(await next()).toBeNull();
      await giveBack(database.sql, (freed as Claim).lease);
      // Back in its place, before the one that was never claimed.
      const again = await claimJob(database.sql, { workerId, ...ANY, jobId: fourth as JobId });
      expect(again?.job.id).toBe(fourth as JobId);
      for (const claim of [claims[0], claims[2], again]) await end(claim as Claim);
      const last = await next();
      expect(last?.job.id).toBe(third as JobId);
      await end(last as Claim);
    });

    test("a claim is one statement, and one more where a key has a limit", async () => {
      const statements = async (): Promise<number> => {
        const counted = counting(database.sql);
        const claim = await claimJob(counted, { workerId, ...ANY });
        if (claim !== null) await end(claim);
        return counted.texts.length;
      };
      await submit(database);
      expect(await statements()).toBe(1);
      expect(await statements()).toBe(1);
      await submitMany(database, 1, { keyId: await limitedKey(database, 5) });
      expect(await statements()).toBe(2);
    });
  });
}

describe("postgres, claimers side by side", () => {
  const CLAIMERS = 6;
  const ROUNDS = 15;
  const LIMIT = 2;

  /** The most jobs of one key that ran at once when claimers raced for them, and how many were claimed. */
  async function race(database: TestDatabase, off: string | null): Promise<{ most: number; least: number }> {
    const { sql } = database;
    const workerId = await makeWorker(sql);
    const runner = off === null ? sql : without(sql, off);
    let most = 0;
    let least = Number.POSITIVE_INFINITY;
    for (let round = 0; round < ROUNDS; round += 1) {
      await sql.query("DELETE FROM jobs");
      const keyId = await limitedKey(database, LIMIT);
      await submitMany(database, CLAIMERS + LIMIT, { keyId });
      await Promise.all(Array.from({ length: CLAIMERS }, () => claimJob(runner, { workerId, ...ANY })));
      const count = await running(database, keyId);
      most = Math.max(most, count);
      least = Math.min(least, count);
    }
    return { most, least };
  }

  test("never more than the limit, and never fewer than there is room for", async () => {
    const database = await openTestDatabase("postgres");
    expect(await race(database, null)).toEqual({ most: LIMIT, least: LIMIT });
    // Each half alone is not enough: this is what the other one prevents.
    expect((await race(database, KEY_HAS_ROOM)).most).toBeGreaterThan(LIMIT);
    expect((await race(database, KEY_IS_UNCHANGED)).most).toBeGreaterThan(LIMIT);
  }, 60_000);
});
