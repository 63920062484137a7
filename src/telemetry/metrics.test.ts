import { describe, expect, test } from "bun:test";
import { type FleetState, makeMetrics, type SampledState } from "./metrics.ts";

const fleet: FleetState = {
  queueDepth: { high: 1, normal: 2, low: 0 },
  ...{ oldestWaitSeconds: 3, backlogSeconds: 12.5, liveWorkers: 2, liveSlots: 4 },
  ...{ webhooksOverdue: 5, webhooksOverdueSeconds: 60 },
  storageBytes: { local: 1000, archive: 5 },
};
const sampled: SampledState = {
  fleet,
  dependencies: { database: true, redis: false },
  disks: { data: { freeBytes: 10, sizeBytes: 100 } },
};

/** Sample lines without comments and buckets. */
const samplesOf = (text: string): string[] =>
  text.split("\n").filter((line) => line !== "" && !line.startsWith("#") && !line.includes("_bucket"));

describe("metrics", () => {
  test("count each business event under its documented name", async () => {
    const metrics = makeMetrics();
    metrics.jobFinished({ status: "completed", type: "convert", error: null, durationSeconds: 2 });
    metrics.jobFinished({ status: "failed", type: "stream", error: "input.unreadable", durationSeconds: 1 });
    metrics.jobFinished({ status: "failed", type: "stream", error: "auth.forbidden", durationSeconds: 1 });
    metrics.jobFinished({ status: "cancelled", type: "convert", error: null, durationSeconds: null });
    metrics.jobRetried("storage.unavailable");
    metrics.queueWaited({ priority: "high", seconds: 3 });
    metrics.queueWaited({ priority: "high", seconds: -1 });
    metrics.leaseLost();
    metrics.workerActive(2);
    metrics.ffmpegFinished({ speedRatio: 4 });
    metrics.storageTransferred({ backend: "local", direction: "upload", bytes: 100 });
    metrics.storageTransferred({ backend: "local", direction: "upload", bytes: 50 });
    metrics.requestFinished({ method: "GET", route: "jobs.get", status: 404, seconds: 0.5 });
    metrics.requestTurnedAway({ method: "BREW", status: 429 });
    const samples = samplesOf(await metrics.render());
    for (const wanted of [
      'rendiff_jobs_total{status="completed",type="convert"} 1',
      'rendiff_jobs_total{status="cancelled",type="convert"} 1',
      'rendiff_job_duration_seconds_sum{type="convert"} 2',
      'rendiff_job_duration_seconds_count{type="convert"} 1',
      'rendiff_job_failures_total{type="stream",fault="client",reason="input.unreadable"} 1',
      'rendiff_job_failures_total{type="stream",fault="service",reason="internal"} 1',
      'rendiff_job_failures_total{type="analyze",fault="service",reason="job.poisoned"} 0',
      'rendiff_job_retries_total{reason="storage.unavailable"} 1',
      'rendiff_queue_wait_seconds_sum{priority="high"} 3',
      'rendiff_api_requests_total{method="other",route="none",status="429"} 1',
      'rendiff_queue_wait_seconds_count{priority="high"} 2',
      "rendiff_leases_lost_total 1",
      "rendiff_worker_active 2",
      "rendiff_ffmpeg_speed_ratio_sum 4",
      'rendiff_storage_transfer_bytes_total{backend="local",direction="upload"} 150',
      'rendiff_api_requests_total{method="GET",route="jobs.get",status="404"} 1',
      'rendiff_api_request_duration_seconds_sum{method="GET",route="jobs.get"} 0.5',
    ]) {
      expect(samples).toContain(wanted);
    }
  });

  test("a method that a client invents makes no series of its own", async () => {
    const metrics = makeMetrics();
    for (let round = 0; round < 50; round++) {
      metrics.requestFinished({ method: `M${round}`, route: "none", status: 404, seconds: 0 });
    }
    const samples = samplesOf(await metrics.render()).filter((line) => line.startsWith("rendiff_api_requests_total"));
    expect(samples).toEqual(['rendiff_api_requests_total{method="other",route="none",status="404"} 50']);
  });

  test("what the database knows is asked for at each scrape", async () => {
    let state = sampled;
    const metrics = makeMetrics({ collect: async () => state });
    const first = samplesOf(await metrics.render());
    expect(first).toContain('rendiff_queue_depth{priority="normal"} 2');
    expect(first).toContain('rendiff_queue_depth{priority="low"} 0');
    expect(first).toContain("rendiff_queue_backlog_seconds 12.5");
    expect(first).toContain('rendiff_storage_bytes{backend="archive"} 5');
    expect(first).toContain("rendiff_workers_live 2");
    expect(first).toContain("rendiff_webhook_backlog_seconds 60");
    expect(first).toContain('rendiff_dependency_up{dependency="redis"} 0');
    expect(first).toContain('rendiff_disk_free_bytes{disk="data"} 10');
    state = { ...sampled, fleet: { ...fleet, storageBytes: { local: 7 } } };
    const second = samplesOf(await metrics.render()).filter((line) => line.startsWith("rendiff_storage_bytes"));
    expect(second).toEqual(['rendiff_storage_bytes{backend="local"} 7']);
  });

  test("what is not known is left out for that scrape; the rest is still there", async () => {
    let state: SampledState = sampled;
    const metrics = makeMetrics({ collect: async () => state });
    metrics.leaseLost();
    await metrics.render();
    state = { fleet: null, dependencies: { database: false }, disks: {} };
    const samples = samplesOf(await metrics.render());
    expect(samples.filter((line) => /queue_depth|queue_backlog|storage_bytes|_disk_|workers_live/.test(line))).toEqual(
      [],
    );
    expect(samples).toContain("rendiff_leases_lost_total 1");
    expect(samples).toContain('rendiff_dependency_up{dependency="database"} 0');
    state = sampled;
    expect(samplesOf(await metrics.render())).toContain("rendiff_queue_backlog_seconds 12.5");
  });

  test("the process's own are plausible, and two makers share nothing", async () => {
    const [one, two] = [makeMetrics(), makeMetrics()];
    one.leaseLost();
    expect(samplesOf(await two.render())).toContain("rendiff_leases_lost_total 0");
    const value = async (name: string): Promise<number> => {
      const line = samplesOf(await one.render()).find((sample) => sample.startsWith(`${name} `));
      return Number(line?.split(" ")[1]);
    };
    expect(await value("process_resident_memory_bytes")).toBeGreaterThan(1e6);
    expect(await value("process_cpu_seconds_total")).toBeGreaterThan(0);
    expect(await value("process_event_loop_lag_seconds")).toBeGreaterThanOrEqual(0);
    expect(Math.abs((await value("process_start_time_seconds")) - Date.now() / 1000)).toBeLessThan(86_400);
  });

  test("say what format they are in", () => {
    expect(makeMetrics().contentType).toStartWith("text/plain");
  });
});
