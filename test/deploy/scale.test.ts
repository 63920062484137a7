/** From no worker to one and back, by the triggers of the ScaledObject and the metrics that the replicas really give. */
import { expect, test } from "bun:test";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { makeApi } from "../support/api.ts";
import { makeClip } from "../support/media.ts";
import { makeKey, makeSite, NO_FFMPEG, startServer, untilClean } from "../support/server.ts";
import { until } from "../support/until.ts";
import { buildText, parseManifests } from "./manifests.ts";

/** A sample of the database serves for five seconds. */
const METRIC_MS = 20_000;

const scaledSchema = z.looseObject({
  minReplicaCount: z.number(),
  triggers: z.array(
    z.looseObject({ metadata: z.looseObject({ query: z.string(), activationThreshold: z.coerce.number() }) }),
  ),
});

function scaler() {
  const found = parseManifests(buildText("overlays/prod")).find(({ kind }) => kind === "ScaledObject");
  return scaledSchema.parse(found?.spec);
}

/** Those of the form that the manifests use: the largest, or the sum, of one metric over all replicas, or 0. */
async function evaluate(query: string, urls: readonly string[]): Promise<number> {
  const [, how, metric] = /^(max|sum)\((\w+)\) or vector\(0\)$/.exec(query) ?? [];
  if (how === undefined || metric === undefined) throw new Error(`The test cannot evaluate ${query}.`);
  const texts = await Promise.all(urls.map(async (url) => await (await fetch(`${url}/metrics`)).text()));
  const samples = texts.flatMap((text) => [...text.matchAll(new RegExp(`^${metric}(?:{[^}]*})? (\\S+)$`, "gm"))]);
  const values = samples.map(([, value]) => Number(value));
  return how === "max" ? Math.max(0, ...values) : values.reduce((sum, value) => sum + value, 0);
}

test("a job that nobody can run starts a worker, which is no longer needed when the job is done", async () => {
  const { minReplicaCount, triggers } = scaler();
  expect(minReplicaCount).toBe(0);
  const site = await makeSite("cluster", { METRICS_ALLOW: "loopback" });
  await copyFile(await makeClip({ durationSeconds: 1 }), join(site.storage, "in.mp4"));
  const key = await makeKey(site);
  await using replica = await startServer(site, { RENDIFF_ROLE: "api", ...NO_FFMPEG });
  const urls = [replica.url];
  const isActive = async (): Promise<boolean> => {
    const active = await Promise.all(
      triggers.map(async ({ metadata }) => (await evaluate(metadata.query, urls)) > metadata.activationThreshold),
    );
    return active.includes(true);
  };
  expect(await isActive()).toBe(false);

  const api = makeApi(replica.url, key);
  const { id, status } = await api.convert({ input: "in.mp4", output: "out.mp4" });
  expect(status).toBe("queued");
  await until(isActive, { timeoutMs: METRIC_MS, intervalMs: 250, what: "a trigger to be active" });

  const worker = await startServer(site, { RENDIFF_ROLE: "worker" });
  urls.push(worker.url);
  expect((await api.ended(id)).status).toBe("completed");
  await until(async () => !(await isActive()), {
    timeoutMs: METRIC_MS,
    intervalMs: 250,
    what: "no trigger to be active",
  });
  expect(await worker.stop()).toBe(0);
  await untilClean(site);
}, 120_000);
