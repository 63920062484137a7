/** Every panel's queries, asked of a real Prometheus that scrapes a server under load. */
import { expect, test } from "bun:test";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { Glob } from "bun";
import { makeApi } from "../support/api.ts";
import { makeClip } from "../support/media.ts";
import { startPrometheus } from "../support/prometheus.ts";
import { startReceiver } from "../support/receiver.ts";
import { makeKey, makeSite, startServer } from "../support/server.ts";
import { ACCESS_KEY, SECRET_KEY, startStore } from "../support/stores.ts";
import { until } from "../support/until.ts";
import { makeBucket } from "./s3-subject.ts";

const FOLDER = join(import.meta.dir, "../../deploy/grafana/dashboards");

interface Panel {
  readonly title: string;
  readonly datasource: { readonly uid: string };
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets: readonly { readonly expr: string }[];
}

async function readPanels(): Promise<Panel[]> {
  const files = [...new Glob("*.json").scanSync(FOLDER)];
  const dashboards = await Promise.all(files.map((name) => Bun.file(join(FOLDER, name)).json()));
  return (dashboards as { panels: Panel[] }[]).flatMap(({ panels }) => panels);
}

test("each returns data under load, and names the data source that is provisioned", async () => {
  const store = await startStore("rclone");
  const bucket = await makeBucket(store.url);
  const receiver = startReceiver();
  const site = await makeSite("embedded", {
    ...{ S3_ENDPOINT: store.url, S3_ACCESS_KEY_ID: ACCESS_KEY, S3_SECRET_ACCESS_KEY: SECRET_KEY },
    ALLOW_PRIVATE_NETWORKS: "loopback",
  });
  await copyFile(await makeClip({ durationSeconds: 1 }), join(site.storage, "in.mp4"));
  const key = await makeKey(site);
  await using server = await startServer(site);
  const api = makeApi(server.url, key);
  const prometheus = await startPrometheus({ targets: { rendiff: [new URL(server.url).host] }, hurried: true });
  let jobs = 0;
  const work = async (): Promise<void> => {
    jobs += 1;
    await api.completed({
      ...{ input: "in.mp4", output: `s3://${bucket}/${jobs}.webm`, webhook_url: receiver.url },
      operations: [{ type: "transcode", video_codec: "vp8", width: 64, height: 48, audio_codec: "none" }],
    });
  };
  const provisioned = await Bun.file(join(FOLDER, "../provisioning/datasources/prometheus.yml")).text();
  const panels = await readPanels();
  expect(panels.length).toBeGreaterThan(20);
  // Dashboards ask over four scrapes or more; here a scrape is a second.
  const open = new Map(
    panels.flatMap(({ title, targets }) =>
      targets.map(({ expr }) => [expr.replaceAll("$__rate_interval", "10s"), title] as const),
    ),
  );
  for (const { datasource } of panels) expect(provisioned).toContain(`uid: ${datasource.uid}\n`);
  await until(
    async () => {
      await work();
      for (const expr of open.keys()) {
        const samples = await prometheus.query(expr);
        if (samples.some(({ value }) => Number.isFinite(value))) open.delete(expr);
      }
      return open.size === 0;
    },
    { timeoutMs: 40_000, intervalMs: 200 },
  ).catch(() => {
    throw new Error(`Without data: ${JSON.stringify(Object.fromEntries(open), null, 2)}`);
  });
}, 90_000);
