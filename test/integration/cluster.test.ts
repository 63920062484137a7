/** Several replicas of one deployment as processes: an API without FFmpeg, and workers that serve different things. */
import { beforeAll, describe, expect, test } from "bun:test";
import { chmod, copyFile } from "node:fs/promises";
import { join } from "node:path";
import { type Api, type Job, type JobEvent, makeApi } from "../support/api.ts";
import { testEnv } from "../support/env.ts";
import { makeClip } from "../support/media.ts";
import {
  makeKey,
  makeSite,
  NO_FFMPEG,
  type RunningServer,
  type Site,
  startServer,
  untilClean,
} from "../support/server.ts";
import { until } from "../support/until.ts";

const START_MS = 60_000;
const WAITS = "No running worker serves jobs of this type and priority; the job waits until one does.";

const BEYOND =
  "No running worker has the encoder, filter or accelerator that this job needs; the job waits until one does.";

/** An FFmpeg that was built without an encoder. */
async function writeLacking(path: string, encoder: string): Promise<string> {
  const { ffmpeg } = testEnv();
  const lines = [
    `case "$*" in *-encoders*) ${ffmpeg} "$@" | grep -v ' ${encoder} '; exit ;; *${encoder}*) exit 8 ;; esac`,
    `exec ${ffmpeg} "$@"`,
  ];
  await Bun.write(path, `#!/bin/sh\n${lines.join("\n")}\n`);
  await chmod(path, 0o755);
  return path;
}

const encode = (output: string, more: object = {}) => ({
  ...{ input: "in.mp4", output, ...more },
  operations: [{ type: "transcode", video_codec: "h264", preset: "ultrafast" }],
});

interface LiveActor {
  readonly id: string;
  readonly state: string;
}

interface Workers {
  readonly items: readonly { readonly actors: readonly LiveActor[] | null }[];
  readonly others: readonly { readonly role: string; readonly actors: readonly LiveActor[] }[];
}

const isStart = ({ type }: JobEvent): boolean => type === "job.started";

describe("replicas", () => {
  let site: Site;
  let worker: RunningServer;
  let replicas: readonly RunningServer[];
  let apis: readonly Api[];
  const first = (): Api => apis[0] as Api;
  const second = (): Api => apis[1] as Api;
  const administrator = (): Api => apis[2] as Api;

  beforeAll(async () => {
    site = await makeSite("cluster", { WORKER_CONCURRENCY: "1" });
    await copyFile(await makeClip({ durationSeconds: 1 }), join(site.storage, "in.mp4"));
    const [key, admin] = [await makeKey(site), await makeKey(site, { role: "admin" })];
    worker = await startServer(site, { RENDIFF_ROLE: "worker" });
    replicas = await Promise.all([1, 2].map(() => startServer(site, { RENDIFF_ROLE: "api", ...NO_FFMPEG })));
    apis = [...replicas.map(({ url }) => makeApi(url, key)), makeApi(replicas[0]?.url ?? "", admin)];
  }, START_MS);

  test("a job given to one replica is run by a worker, and the other serves its events and its file", async () => {
    const job = await first().convert(encode("a.mp4"));
    await using reader = await second().events(job.id, 0);
    const types = (await reader.rest()).map(({ type }) => type);
    expect(types).toContain("job.started");
    expect(types.at(-1)).toBe("job.completed");
    const [output] = await second().outputs(job.id);
    expect((await fetch(output?.download_url ?? "")).status).toBe(200);
    await untilClean(site);
  });

  test("live figures reach a replica that runs nothing", async () => {
    const job = await first().convert(encode("live.mp4"));
    await using reader = await second().events(job.id, 0);
    expect((await reader.rest()).some(({ id, type }) => id === null && type === "progress")).toBe(true);
  });

  test("a replica without FFmpeg answers probes, plans and what can be done", async () => {
    const probed = await first().call<{ container: string }>("POST", "/probe", { input: "in.mp4" });
    expect([probed.status, probed.body.container]).toEqual([200, "mp4"]);
    const missing = await first().call<{ error: { code: string } }>("POST", "/probe", { input: "none.mp4" });
    expect(missing.status).toBeGreaterThanOrEqual(400);
    expect(missing.status).toBeLessThan(500);
    const plan = await first().call<{ steps: unknown[] }>("POST", "/convert?dry_run=true", encode("b.mp4"));
    expect([plan.status, plan.body.steps.length]).toEqual([200, 1]);
    expect((await first().call("GET", "/capabilities")).status).toBe(200);
  });

  test("a worker answers about its health and gives metrics, and nothing else", async () => {
    for (const [path, status] of [
      ["/health", 200],
      ["/health/ready", 200],
      ["/metrics", 200],
      ["/api/v1/jobs", 404],
      ["/docs", 404],
    ] as const) {
      expect([path, (await fetch(worker.url + path, { headers: { "x-api-key": first().key } })).status]).toEqual([
        path,
        status,
      ]);
    }
  });

  test("an administrator sees what lives in each replica, those included that run nothing", async () => {
    const { body } = await administrator().call<Workers>("GET", "/admin/workers");
    const states = (actors: readonly LiveActor[] | null | undefined) =>
      Object.fromEntries((actors ?? []).map(({ id, state }) => [id, state]));
    expect(body.items.map(({ actors }) => states(actors))).toEqual([
      expect.objectContaining({
        ...{ system: "serving.working", worker: "running", "worker/heartbeat": "active" },
        reconciler: expect.stringMatching(/^(working|waiting)$/),
      }),
    ]);
    expect(body.others.map(({ role }) => role)).toEqual(["api", "api"]);
    for (const { actors } of body.others) {
      expect(states(actors)).toMatchObject({ system: "serving.answering", courier: expect.any(String) });
      expect(states(actors).worker).toBeUndefined();
    }
  });

  test("a cancel through one replica ends what a worker runs", async () => {
    await copyFile(
      await makeClip({ durationSeconds: 12, video: { width: 640, height: 480 } }),
      join(site.storage, "slow.mp4"),
    );
    const job = await first().convert({
      ...{ input: "slow.mp4", output: "slow-out.mp4" },
      operations: [{ type: "transcode", video_codec: "h265", preset: "veryslow", crf: 1, width: 1280, height: 960 }],
    });
    const inAttempt = async (): Promise<readonly string[]> => {
      const { body } = await administrator().call<Workers>("GET", "/admin/workers");
      const own = (body.items[0]?.actors ?? []).filter(({ id }) => id.startsWith(`worker/attempt-${job.id}-`));
      return own.map(({ id, state }) => `${id.split("/").slice(2).join("/")} ${state}`.trim());
    };
    await until(async () => (await inAttempt()).includes("working.encoding"), { timeoutMs: 20_000 });
    await until(() => worker.media().length > 0, { timeoutMs: 20_000 });
    expect(await inAttempt()).toEqual(["working.encoding", "encode active"]);
    expect((await second().call("DELETE", `/jobs/${job.id}`)).status).toBe(200);
    expect(worker.media()).toEqual([]);
  });

  test("the limit of a key holds over all replicas together", async () => {
    const created = await administrator().call<{ key: string }>("POST", "/admin/api-keys", {
      ...{ name: "limited", role: "user", rate_limit: 20 },
    });
    const { key } = created.body;
    const clients = replicas.map(({ url }) => makeApi(url, key));
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, index) => (clients[index % 2] as Api).call("GET", "/jobs")),
    );
    const allowed = answers.filter(({ status }) => status === 200).length;
    expect(allowed).toBeGreaterThanOrEqual(19);
    expect(allowed).toBeLessThanOrEqual(21);
  });

  test("when the last worker that serves a job has gone, work is accepted, says that it waits, and is run later", async () => {
    expect(await worker.stop()).toBe(0);
    await until(async () => (await first().convert(encode("c.mp4", { priority: "low" }))).warnings.includes(WAITS), {
      timeoutMs: 10_000,
      intervalMs: 500,
    });
    const unanswered = await first().call<{ error: { code: string } }>("POST", "/probe", { input: "in.mp4" });
    expect([unanswered.status, unanswered.body.error.code]).toEqual([503, "UNAVAILABLE"]);
    const high = await startServer(site, { RENDIFF_ROLE: "worker", WORKER_PRIORITIES: "high" });
    const done = await first().completed(encode("d.mp4", { priority: "high" }));
    expect(done.warnings).toEqual([]);
    const waiting = await first().convert(encode("e.mp4", { priority: "low" }));
    expect((await first().job(waiting.id)).warnings).toEqual([WAITS]);
    const low = await startServer(site, {
      ...{ RENDIFF_ROLE: "worker", WORKER_PRIORITIES: "low", WORKER_JOB_TYPES: "convert,stream" },
    });
    expect((await first().ended(waiting.id)).status).toBe("completed");
    // Its priority has somebody, its type has nobody.
    const body = { distorted_path: "in.mp4", priority: "low", metrics: ["scenes"] };
    const analysis = (await first().call<Job>("POST", "/analyze", body)).body;
    await until(async () => (await first().job(analysis.id)).warnings.includes(WAITS), {
      timeoutMs: 30_000,
      intervalMs: 200,
    });
    const measuring = await startServer(site, { RENDIFF_ROLE: "worker", WORKER_JOB_TYPES: "analyze" });
    expect((await first().ended(analysis.id)).status).toBe("completed");
    expect(await Promise.all([high.stop(), low.stop(), measuring.stop()])).toEqual([0, 0, 0]);
    await untilClean(site);
  }, 120_000);

  test("a job waits for a worker that has its encoder, says so, and is passed over by those that have not", async () => {
    const h265 = (output: string) => ({
      ...{ input: "in.mp4", output },
      operations: [{ type: "transcode", video_codec: "h265", preset: "ultrafast" }],
    });
    const lackingPath = await writeLacking(join(site.folder, "lacking-ffmpeg"), "libx265");
    const lacking = await startServer(site, { RENDIFF_ROLE: "worker", FFMPEG_PATH: lackingPath, SANDBOX: "off" });
    const waiting = await until(
      async () => {
        const job = await first().convert(h265(`${Bun.randomUUIDv7()}.mp4`));
        return job.warnings.includes(BEYOND) ? job : null;
      },
      { timeoutMs: 20_000, intervalMs: 500, what: "the replica to know both kinds of workers" },
    );
    const passed = await first().completed(encode("f.mp4"));
    expect((await first().job(waiting.id)).status).toBe("queued");
    const whole = await startServer(site, { RENDIFF_ROLE: "worker" });
    const done = await first().ended(waiting.id);
    expect([done.status, done.error]).toEqual(["completed", null]);
    const workers = await Promise.all(
      [passed.id, waiting.id].map(async (id) => (await first().logs(id)).find(isStart)),
    );
    expect(workers[0]?.data.worker_id).not.toBe(workers[1]?.data.worker_id);
    // The only ones that can leave, also without a word: what waits says so, and goes on with the next that comes.
    whole.signal("SIGKILL");
    await whole.exited;
    const left = await first().convert(h265("g.mp4"));
    await until(async () => (await first().job(left.id)).warnings.includes(BEYOND), {
      timeoutMs: 40_000,
      intervalMs: 500,
      what: "the job to say that nobody is left who can run it",
    });
    const again = await startServer(site, { RENDIFF_ROLE: "worker" });
    const ended = await first().ended(left.id);
    expect([ended.status, ended.warnings]).toEqual(["completed", []]);
    expect(await Promise.all([lacking.stop(), again.stop()])).toEqual([0, 0]);
    await untilClean(site);
  }, 120_000);
});
