/** Every documented figure, held to the documentation and moved by its cause in real processes. */
import { beforeAll, describe, expect, test } from "bun:test";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { type Api, makeApi } from "../support/api.ts";
import { makeClip } from "../support/media.ts";
import { startReceiver } from "../support/receiver.ts";
import { makeKey, makeSite, type RunningServer, type Site, startServer } from "../support/server.ts";
import { until } from "../support/until.ts";

/** What the API promises, with the labels it names. */
const PROMISED: Readonly<Record<string, readonly string[]>> = {
  rendiff_jobs_total: ["status", "type"],
  rendiff_job_duration_seconds: ["type"],
  rendiff_api_requests_total: ["method", "route", "status"],
  rendiff_api_request_duration_seconds: [],
  rendiff_storage_bytes: ["backend"],
  rendiff_storage_transfer_bytes_total: ["backend", "direction"],
  rendiff_worker_active: [],
  rendiff_queue_depth: ["priority"],
  rendiff_queue_wait_seconds: [],
  rendiff_queue_backlog_seconds: [],
  rendiff_ffmpeg_speed_ratio: [],
  rendiff_job_retries_total: ["reason"],
  rendiff_leases_lost_total: [],
  rendiff_webhook_deliveries_total: ["outcome"],
};

const NO_FFMPEG = { FFMPEG_PATH: "/none", FFPROBE_PATH: "/none" };
const SAMPLE = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/;

interface Scrape {
  readonly text: string;
  /** The sum of the series that have all of these labels; null when there is none. */
  value(name: string, labels?: Readonly<Record<string, string>>): number | null;
}

async function scrape(...servers: readonly RunningServer[]): Promise<Scrape> {
  const texts = await Promise.all(servers.map(async ({ url }) => (await fetch(`${url}/metrics`)).text()));
  const samples = texts
    .flatMap((text) => text.split("\n"))
    .flatMap((line) => {
      const [, name, labels = "", value] = SAMPLE.exec(line) ?? [];
      return name === undefined ? [] : [{ name, labels, value: Number(value) }];
    });
  return {
    text: texts.join("\n"),
    value(name, labels = {}) {
      const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
      const found = samples.filter((one) => one.name === name && wanted.every((label) => one.labels.includes(label)));
      return found.length === 0 ? null : found.reduce((sum, one) => sum + one.value, 0);
    },
  };
}

describe("figures", () => {
  let site: Site;
  let api: RunningServer;
  let worker: RunningServer;
  let client: Api;
  const encode = (output: string, more: object = {}) => ({
    ...{ input: "in.mp4", output, ...more },
    operations: [{ type: "transcode", video_codec: "vp8", width: 64, height: 48, audio_codec: "none" }],
  });

  beforeAll(async () => {
    site = await makeSite("cluster", { WORKER_CONCURRENCY: "1", ALLOW_PRIVATE_NETWORKS: "loopback" });
    await copyFile(await makeClip({ durationSeconds: 1 }), join(site.storage, "in.mp4"));
    await copyFile(
      await makeClip({ durationSeconds: 12, video: { width: 640, height: 480 } }),
      join(site.storage, "slow.mp4"),
    );
    await Bun.write(join(site.storage, "broken.mp4"), "no film");
    const key = await makeKey(site);
    worker = await startServer(site, { RENDIFF_ROLE: "worker" });
    api = await startServer(site, { RENDIFF_ROLE: "api", ...NO_FFMPEG, DATA_DIR: join(site.folder, "api") });
    client = makeApi(api.url, key);
  }, 60_000);

  test("are those of the documentation, no more and no less, and no label holds an id", async () => {
    await client.call("GET", "/jobs");
    const { text } = await scrape(api, worker);
    const documented = new Set(
      (await Bun.file(join(import.meta.dir, "../../docs/monitoring.md")).text())
        .split("\n")
        .filter((line) => line.startsWith("| `"))
        .flatMap((line) => line.split("|")[1]?.match(/[a-z_]+/g) ?? []),
    );
    const exposed = new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name ?? ""));
    expect([...exposed].sort()).toEqual([...documented].sort());
    for (const name of Object.keys(PROMISED)) expect(exposed).toContain(name);
    expect(text).not.toMatch(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}/);
  });

  test("each moves by its cause", async () => {
    const receiver = startReceiver();
    const before = await scrape(api, worker);
    await client.completed(encode("a.webm", { webhook_url: receiver.url }));
    expect((await client.ended((await client.convert(encode("b.webm", { input: "broken.mp4" }))).id)).status).toBe(
      "failed",
    );
    // One that runs holds the only slot, another waits.
    const running = await client.convert({
      ...{ input: "slow.mp4", output: "c.mp4" },
      operations: [{ type: "transcode", video_codec: "h265", preset: "veryslow", crf: 1, width: 1280, height: 960 }],
    });
    await until(async () => (await scrape(worker)).value("rendiff_worker_active") === 1, { timeoutMs: 20_000 });
    const waiting = await client.convert(encode("d.webm", { priority: "low" }));
    const busy = await until(
      async () => {
        const now = await scrape(api);
        return now.value("rendiff_queue_depth", { priority: "low" }) === 1 ? now : null;
      },
      { timeoutMs: 20_000, intervalMs: 100 },
    );
    expect(busy.value("rendiff_queue_backlog_seconds")).toBeGreaterThan(0);
    expect(busy.value("rendiff_workers_live")).toBe(1);
    // Frozen until its job was taken from it, it finds on its return that it has lost it.
    worker.signal("SIGSTOP");
    await until(async () => (await scrape(api)).value("rendiff_job_retries_total", { reason: "worker.lost" }) === 1, {
      ...{ timeoutMs: 30_000, intervalMs: 100 },
    });
    await client.call("DELETE", `/jobs/${waiting.id}`);
    await client.call("DELETE", `/jobs/${running.id}`);
    worker.signal("SIGCONT");
    await until(async () => ((await scrape(worker)).value("rendiff_leases_lost_total") ?? 0) >= 1, {
      ...{ timeoutMs: 20_000, intervalMs: 100 },
    });
    const after = await until(
      async () => {
        const now = await scrape(api, worker);
        const told = now.value("rendiff_webhook_deliveries_total", { outcome: "delivered" }) ?? 0;
        return told >= 1 && (now.value("rendiff_storage_bytes") ?? 0) > 0 ? now : null;
      },
      { timeoutMs: 20_000, intervalMs: 100 },
    );
    const grown = (name: string, labels?: Readonly<Record<string, string>>): number =>
      (after.value(name, labels) ?? 0) - (before.value(name, labels) ?? 0);
    expect(grown("rendiff_jobs_total", { status: "completed", type: "convert" })).toBe(1);
    expect(grown("rendiff_jobs_total", { status: "failed", type: "convert" })).toBe(1);
    expect(grown("rendiff_jobs_total", { status: "cancelled", type: "convert" })).toBe(2);
    expect(grown("rendiff_job_failures_total", { fault: "client", reason: "input.unreadable" })).toBe(1);
    expect(grown("rendiff_job_duration_seconds_count", { type: "convert" })).toBe(2);
    expect(grown("rendiff_queue_wait_seconds_count", { priority: "normal" })).toBe(3);
    expect(grown("rendiff_ffmpeg_speed_ratio_count")).toBeGreaterThanOrEqual(1);
    expect(grown("rendiff_storage_transfer_bytes_total", { backend: "local", direction: "upload" })).toBeGreaterThan(0);
    expect(grown("rendiff_api_requests_total", { method: "POST", status: "201" })).toBe(4);
    expect(grown("rendiff_api_request_duration_seconds_count", { method: "POST" })).toBe(4);
    for (const dependency of ["database", "redis"])
      expect(after.value("rendiff_dependency_up", { dependency })).toBe(2);
    expect(after.value("rendiff_disk_free_bytes", { disk: "work" })).toBeGreaterThan(0);
  }, 120_000);
});
