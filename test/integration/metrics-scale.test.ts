/** What a scrape costs where a hundred thousand jobs are kept. */
import { beforeAll, describe, expect, test } from "bun:test";
import { makeSampler } from "../../src/boot/sample.ts";
import type { Sql } from "../../src/database/sql.ts";
import { readFleetGauges } from "../../src/jobs/gauges.ts";
import { makeMetrics } from "../../src/telemetry/metrics.ts";
import { makeWorker, openTestDatabase } from "../faults/protocol-harness.ts";

const JOBS = 100_000;
const QUEUED = 30_000;
const SCRAPES = 30;
const SCRAPE_MS_MAX = 20;

const FILL = `
INSERT INTO jobs (id, key_id, type, status, priority, queue_rank, spec, created_at, started_at, completed_at, run_at, error)
SELECT gen_random_uuid(), $1, 'convert',
  CASE WHEN n <= ${QUEUED} THEN 'queued' WHEN n % 10 = 0 THEN 'failed' ELSE 'completed' END,
  n % 3, n, '{"inputs": ["local:///a.mp4"], "output": "local:///b.mp4", "operations": []}',
  now() - interval '1 hour', CASE WHEN n > ${QUEUED} THEN now() - interval '12 seconds' END,
  CASE WHEN n > ${QUEUED} THEN now() - interval '2 seconds' END,
  CASE WHEN n % 100 = 0 THEN now() + interval '1 hour' ELSE now() - interval '90 seconds' END,
  CASE WHEN n > ${QUEUED} AND n % 10 = 0 THEN '{}'::jsonb END
FROM generate_series(1, ${JOBS}) n`;

describe("100,000 jobs", () => {
  let sql: Sql;

  beforeAll(async () => {
    const opened = await openTestDatabase("postgres");
    sql = opened.sql;
    await sql.transaction(async (tx) => {
      await tx.query("SET LOCAL statement_timeout = 0");
      await tx.query(FILL, [opened.keyId]);
    });
    await makeWorker(sql);
  }, 120_000);

  test("are counted right: what waits and may run, the longest wait, and the work there is", async () => {
    const gauges = await readFleetGauges(sql, 3);
    const ready = QUEUED - QUEUED / 100;
    expect(Object.values(gauges.queueDepth).reduce((sum, one) => sum + one)).toBe(ready);
    expect(gauges.oldestWaitSeconds).toBeWithin(85, 600);
    expect(gauges.liveWorkers).toBe(1);
    // Jobs took ten seconds each.
    expect(gauges.backlogSeconds / ((ready * 10) / gauges.liveSlots)).toBeWithin(0.95, 1.05);
  });

  test(`cost a scrape less than ${SCRAPE_MS_MAX} ms, also one that has to look anew`, async () => {
    const metrics = makeMetrics({
      collect: makeSampler({
        ...{ sql, coordination: { kind: "memory", ping: async () => {} }, disks: { data: "/" }, reapAfterTicks: 3 },
        ...{ keepMs: 0, onError: (error) => expect(error).toBeNull() },
      }),
    });
    const times: number[] = [];
    let text = "";
    for (let scrape = 0; scrape < SCRAPES; scrape += 1) {
      const startedAtMs = performance.now();
      text = await metrics.render();
      times.push(performance.now() - startedAtMs);
      await sql.query("SELECT 1");
    }
    const median = times.sort((a, b) => a - b)[SCRAPES / 2] ?? Number.POSITIVE_INFINITY;
    console.log(`a scrape takes ${median.toFixed(1)} ms in the middle, ${times.at(-1)?.toFixed(1)} ms at most`);
    expect(median).toBeLessThan(SCRAPE_MS_MAX);
    expect(text).toContain('rendiff_queue_depth{priority="high"} 9900');
  });
});
