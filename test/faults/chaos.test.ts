/** Several replicas under every kind of fault: nothing is lost, doubled, wrong or left behind; and the judge can see. */
import { describe, expect, test } from "bun:test";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { testEnv } from "../support/env.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";
import { judge, judgeLeftovers } from "./chaos/checker.ts";
import { FAULTS } from "./chaos/faults.ts";
import { freezeCycles } from "./chaos/freeze.ts";
import { type RunResult, run } from "./chaos/run.ts";
import { makeWorld, type World } from "./chaos/world.ts";

const { long } = testEnv();
const SEED = long ? Date.now() % 1_000_000 : 1;
const JOBS = long ? 1_000 : 100;
const JOBS_ON_S3 = 300;
const FREEZES = long ? 200 : 3;
const LIMIT_MS = long ? 3_600_000 : 240_000;

async function plant(world: World, { submitted }: RunResult): Promise<Record<string, () => Promise<string[]>>> {
  const sql = world.rows();
  const [first, second, third] = submitted;
  if (first === undefined || second === undefined || third === undefined) throw new Error("There are too few jobs.");
  const { stored } = world;
  /** Judges with something wrong, and puts it right again. */
  const during = (wrong: () => Promise<unknown>, right: () => Promise<unknown>) => async () => {
    await wrong();
    const found = await judge(world, submitted);
    await right();
    return found;
  };
  const bytes = await stored.read(first.output);
  if (bytes === null) throw new Error("The first output is not there.");
  let undo = (): Promise<unknown> => Promise.resolve();
  const folder = join(world.replicas[0]?.tempDir ?? "", "left");
  return {
    "a second completion": during(
      () =>
        sql`INSERT INTO job_logs (job_id, seq, type) SELECT id, log_seq + 1, 'job.completed' FROM jobs WHERE id = ${first.id}`,
      () => sql`DELETE FROM job_logs l USING jobs j WHERE j.id = l.job_id AND l.seq > j.log_seq`,
    ),
    "a late write over an output": during(
      () => stored.write(first.output, "late"),
      () => stored.write(first.output, bytes),
    ),
    "an output that is not there": during(
      () => stored.remove(first.output),
      () => stored.write(first.output, bytes),
    ),
    "a job that never ended": during(
      () =>
        sql`UPDATE jobs SET status = 'queued', completed_at = NULL, run_at = now() + interval '1 day' WHERE id = ${second.id}`,
      () => sql`UPDATE jobs SET status = 'completed', completed_at = now() WHERE id = ${second.id}`,
    ),
    "a token that did not grow": during(
      () =>
        sql`INSERT INTO job_attempts (job_id, attempt, lease_token, worker_id)
            SELECT job_id, 1000, 0, worker_id FROM job_attempts WHERE job_id = ${third.id} LIMIT 1`,
      () => sql`DELETE FROM job_attempts WHERE attempt = 1000`,
    ),
    "a work folder": during(
      () => mkdir(folder, { recursive: true }),
      () => rm(folder, { recursive: true }),
    ),
    "staged bytes": during(
      async () => {
        undo = await stored.begin("left");
      },
      () => undo(),
    ),
    "a claimed output key": during(
      () => sql`INSERT INTO output_claims (backend, key, job_id) VALUES ('local', 'x', ${third.id})`,
      () => sql`DELETE FROM output_claims WHERE key = 'x'`,
    ),
    "a lost job": async () => judge(world, [...submitted, { id: Bun.randomUUIDv7(), output: "lost.mp4" }]),
  };
}

describe("chaos", () => {
  test(
    `a worker frozen past its lease and let go on writes nothing late, ${FREEZES} times`,
    async () => {
      await using world = await makeWorld({
        ...{ folder: await makeTempDir("frost"), workers: 2, apis: 1, leaseTtlMs: 900, encodeMsMax: 600 },
      });
      const cycles = await freezeCycles(world, FREEZES, SEED);
      expect(cycles.filter(({ changed }) => changed)).toEqual([]);
      // Some jobs end before they are seen in their stage; a run in which all did would have proved nothing.
      expect(cycles.filter(({ overtaken }) => overtaken).length).toBeGreaterThan(0);
      const submitted = cycles.map((one) => one.submitted);
      await until(async () => (await judgeLeftovers(world)).length === 0, { timeoutMs: 20_000 }).catch(() => {});
      expect(await judge(world, submitted)).toEqual([]);
    },
    LIMIT_MS,
  );

  // On S3 in the long run only: its faults take as long as those on a folder.
  const runs = [["a folder", "folder", JOBS] as const, ...(long ? [["S3", "s3", JOBS_ON_S3] as const] : [])];
  test.each(runs)(
    `on %s, every kind of fault, seed ${SEED}: every promise is kept, and what is planted afterwards is found`,
    async (_, store, jobs) => {
      await using world = await makeWorld({
        ...{ folder: await makeTempDir("chaos"), workers: 2, apis: 2, leaseTtlMs: 1_500, store },
        encodeMsMax: 400,
        ...(long && store === "folder" ? { outageMs: 60_000 } : {}),
      });
      const result = await run(world, { seed: SEED, jobs, everyMs: 150, pauseMs: 300 });
      expect(result.found).toEqual([]);
      expect(result.settledMs).not.toBeNull();
      expect(new Set(result.fired.map(({ fault }) => fault)).size).toBe(Object.keys(FAULTS).length);
      for (const [what, judged] of Object.entries(await plant(world, result))) {
        expect([what, await judged()]).not.toEqual([what, []]);
      }
      expect(await judge(world, result.submitted)).toEqual([]);
    },
    LIMIT_MS,
  );
});
