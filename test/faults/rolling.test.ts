/** Replicas that are replaced one after another while they are asked and have jobs: nobody notices. */
import { describe, expect, test } from "bun:test";
import { join, resolve } from "node:path";
import { makeApi } from "../support/api.ts";
import { testEnv } from "../support/env.ts";
import { startNginx } from "../support/nginx.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";
import { makeWorld } from "./chaos/world.ts";
import { startLoad } from "./rolling/load.ts";
import { apiPorts, rollOnce } from "./rolling/orchestrator.ts";

const { long } = testEnv();
const ROUNDS = long ? 20 : 2;
const LIMIT_MS = long ? 1_800_000 : 120_000;
const SETTLE_MS = 60_000;

/** Of a build whose schema is so many migrations ahead. */
const newer = (migrations: number): readonly string[] => [
  ...[process.execPath, resolve(import.meta.dir, "fixtures/newer-program.ts"), `${migrations}`],
];

describe("rolling restarts", () => {
  test(
    `${ROUNDS} under 50 requests a second, every other to a newer schema and back: no request fails, no attempt is charged`,
    async () => {
      const folder = await makeTempDir("rolling");
      await using world = await makeWorld({
        ...{ folder, workers: 2, apis: 2, leaseTtlMs: 3_000, encodeMsMax: 1_500 },
        // Longer than the orchestrator takes to hear of it and nginx to take up its list; some encodes take longer than a
        // worker waits for them, and are put back.
        env: { DRAIN_DELAY: "2s", DRAIN_TIMEOUT: "1s", POISON_AFTER: "3", MAX_ATTEMPTS: "3" },
      });
      await using nginx = await startNginx(join(folder, "nginx"), apiPorts(world));
      const load = startLoad(makeApi(nginx.url, world.key));
      for (let round = 0; round < ROUNDS; round++) {
        await rollOnce(world, nginx, round % 2 === 0 ? newer(1 + round / 2) : undefined);
      }
      const { requests, failed, jobs } = await load.end();
      expect([failed.length, failed.slice(0, 5)]).toEqual([0, []]);
      expect(requests).toBeGreaterThan(100);
      const sql = world.rows();
      await until(
        async () => {
          const [row] = await sql<{ open: number }[]>`
            SELECT count(*)::int AS open FROM jobs WHERE completed_at IS NULL`;
          return row?.open === 0;
        },
        { timeoutMs: SETTLE_MS, intervalMs: 100, what: "all jobs to end" },
      );
      const ended = await sql<{ status: string; count: number }[]>`
        SELECT status, count(*)::int FROM jobs GROUP BY status`;
      expect([...ended]).toEqual([{ status: "completed", count: jobs.length }]);
      const charged = await sql`SELECT id, failure_count, crash_count FROM jobs
        WHERE failure_count + crash_count > 0`;
      expect([...charged]).toEqual([]);
      const migrated = await sql`SELECT name FROM schema_migrations WHERE name ~ '_expand$'`;
      expect(migrated.length).toBe(ROUNDS / 2);
    },
    LIMIT_MS,
  );
});
