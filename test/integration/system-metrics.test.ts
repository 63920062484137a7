/** Samples of replicas, from a process's counts to the history that an administrator reads, on both engines. */
import { expect, test } from "bun:test";
import { makeSampleRecorder } from "../../src/boot/sample-recorder.ts";
import { makeMemoryCoordination } from "../../src/coordination/memory/memory.ts";
import { expire } from "../../src/jobs/cleanup.ts";
import { HISTORY_HOURS_MAX, readHistory } from "../../src/jobs/system-metrics.ts";
import { makeStorageRegistry } from "../../src/storage/registry.ts";
import { withFigures } from "../../src/telemetry/figures.ts";
import { makeMetrics } from "../../src/telemetry/metrics.ts";
import { ENGINES, openTestDatabase, submit } from "../faults/protocol-harness.ts";
import { silentLogger } from "../support/silent-logger.ts";

for (const engine of ENGINES) {
  test(`${engine}: each replica's samples come back as one history, and are deleted when nobody can ask for them`, async () => {
    const database = await openTestDatabase(engine);
    const { sql } = database;
    const [first, second] = [crypto.randomUUID(), crypto.randomUUID()];
    const metrics = withFigures(makeMetrics());
    const record = (replicaId: string, slots: number) =>
      makeSampleRecorder({ sql, metrics, replicaId, slots, reapAfterTicks: 3 })();
    await submit(database);
    metrics.workerActive(1);
    metrics.jobFinished({ status: "completed", type: "convert", error: null, durationSeconds: 2 });
    metrics.jobFinished({ status: "failed", type: "convert", error: "internal", durationSeconds: 2 });
    metrics.ffmpegFinished({ speedRatio: 1 });
    metrics.ffmpegFinished({ speedRatio: 4 });
    for (const status of [200, 404, 503]) metrics.requestFinished({ method: "GET", route: "a", status, seconds: 1 });
    metrics.requestFinished({ method: "GET", route: "health.ready", status: 503, seconds: 1 });
    await record(first, 2);
    await record(second, 3);
    expect(await readHistory(sql, 1)).toEqual([
      {
        at: expect.any(Date),
        replicas: 2,
        queueDepth: { high: 0, normal: 1, low: 0 },
        oldestWaitSeconds: expect.any(Number),
        // What was counted was taken by the first; slots are used now.
        ...{ slots: 5, slotsInUse: 2, jobsCompleted: 1, jobsFailed: 1, requests: 3, requestsFailed: 1 },
        ffmpegSpeedRatio: 2.5,
      },
    ]);
    await sql.query("UPDATE system_metrics SET at = at - interval '90 minutes' WHERE worker_id = $1", [first]);
    expect((await readHistory(sql, 1)).map(({ replicas }) => replicas)).toEqual([1]);
    expect((await readHistory(sql, 2)).map(({ replicas, slots }) => [replicas, slots])).toEqual([
      [1, 2],
      [1, 3],
    ]);
    await sql.query("UPDATE system_metrics SET at = at - interval '7 days' WHERE worker_id = $1", [first]);
    const deps = {
      sql,
      storage: makeStorageRegistry([]),
      coordination: makeMemoryCoordination(),
      logger: silentLogger(),
    };
    await expire(deps, { retentionJobsMs: null, retentionOutputsMs: null });
    expect((await readHistory(sql, HISTORY_HOURS_MAX)).map(({ slots }) => slots)).toEqual([3]);
    expect(await sql.query("SELECT count(*)::integer AS rows FROM system_metrics")).toEqual([{ rows: 1 }]);
  });
}
