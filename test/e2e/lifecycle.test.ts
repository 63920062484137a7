/** Starting, refusing to start, and stopping. */
import { describe, expect, test } from "bun:test";
import { makeApi } from "../support/api.ts";
import { makeKey, makeSite, PROFILES, runCommand, startServer, untilClean } from "../support/server.ts";
import { until } from "../support/until.ts";
import { put, SLOW_CLIP, shortEncode, slowJob, stored } from "./harness.ts";

const CONFIG_EXIT = 78;

for (const profile of PROFILES) {
  describe(`the server's life (${profile})`, () => {
    test("a second server on the same database is refused, and the first goes on", async () => {
      const site = await makeSite(profile);
      await using server = await startServer(site);
      const second = await runCommand(["serve"], { cwd: site.folder, env: { ...site.env, API_PORT: "0" } });
      expect(second.exitCode).toBeGreaterThan(0);
      expect(second.stdout + second.stderr).toMatch(/another|already|in use|only one/i);
      expect(second.stderr).not.toMatch(/^\s+at .+:\d+/m);
      expect((await fetch(`${server.url}/health/ready`)).status).toBe(200);
    });

    test("SIGTERM lets a running job finish, says not ready meanwhile, and ends with 0", async () => {
      const site = await makeSite(profile, { DRAIN_DELAY: "2s" });
      const key = await makeKey(site);
      const input = await put(site, "in.mp4", SLOW_CLIP);
      const server = await startServer(site);
      const { id } = await makeApi(server.url, key).convert(shortEncode(input, "drained.mp4"));
      await until(() => server.media().length > 0, { timeoutMs: 20_000, what: "FFmpeg" });
      server.signal("SIGTERM");
      await until(async () => (await fetch(`${server.url}/health/ready`)).status === 503, { timeoutMs: 1_500 });
      expect((await fetch(`${server.url}/health/live`)).status).toBe(200);
      expect(await server.exited).toBe(0);
      await untilClean(site);
      expect(await Bun.file(stored(site, "drained.mp4")).exists()).toBe(true);
      await using again = await startServer(site);
      const job = await makeApi(again.url, key).job(id);
      expect([job.status, job.attempt]).toEqual(["completed", 1]);
    });

    test("what does not finish in time is put back, and completed by the next start", async () => {
      const site = await makeSite(profile, { DRAIN_TIMEOUT: "0s" });
      const key = await makeKey(site);
      const server = await startServer(site);
      const api = makeApi(server.url, key);
      const { id } = await api.convert(slowJob(await put(site, "in.mp4", SLOW_CLIP), "late.mp4"));
      await until(() => server.media().length > 0, { timeoutMs: 20_000, what: "FFmpeg" });
      expect(await server.stop()).toBe(0);
      await untilClean(site);
      expect(await Bun.file(stored(site, "late.mp4")).exists()).toBe(false);
      await using again = await startServer(site);
      const next = makeApi(again.url, key);
      await until(async () => (await next.job(id)).status === "processing", {
        timeoutMs: 20_000,
        what: "the next try",
      });
      expect((await next.call("DELETE", `/jobs/${id}`)).status).toBe(200);
    });

    test("keys, jobs and signed URLs outlive a restart", async () => {
      const site = await makeSite(profile);
      const key = await makeKey(site);
      const first = await startServer(site);
      const job = await makeApi(first.url, key).completed(shortEncode(await put(site, "in.mp4"), "kept.mp4"));
      const [output] = await makeApi(first.url, key).outputs(job.id);
      expect(await first.stop()).toBe(0);
      await using second = await startServer(site);
      expect((await makeApi(second.url, key).job(job.id)).status).toBe("completed");
      const { pathname } = new URL(output?.download_url ?? "");
      expect((await fetch(`${second.url}${pathname}`)).status).toBe(200);
    });
  });
}

describe("configuration", () => {
  test("every problem is said at once, by name, with exit code 78", async () => {
    const site = await makeSite("embedded", {
      API_PORT: "99999",
      MAX_INPUT_SIZE: "lots",
      LEASE_TTL: "soon",
      REDIS_URL: "redis://127.0.0.1:1",
      SANDBOX: "perhaps",
    });
    const { exitCode, stdout, stderr } = await runCommand(["serve"], { cwd: site.folder, env: site.env });
    expect(exitCode).toBe(CONFIG_EXIT);
    for (const name of ["API_PORT", "MAX_INPUT_SIZE", "LEASE_TTL", "REDIS_URL", "SANDBOX"]) {
      expect(stdout + stderr).toContain(name);
    }
    expect(stderr).not.toMatch(/^\s+at .+:\d+/m);
  });

  test("a misspelt name is reported with the one that is meant", async () => {
    const site = await makeSite("embedded", { WORKER_CONCURENCY: "2" });
    const { exitCode, stderr } = await runCommand(["serve"], { cwd: site.folder, env: site.env });
    expect(exitCode).toBe(CONFIG_EXIT);
    expect(stderr).toContain("WORKER_CONCURRENCY");
  });

  test("a port that is taken is a sentence, not a stack", async () => {
    const site = await makeSite("embedded");
    const holder = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    try {
      const env = { ...site.env, API_PORT: `${holder.port}` };
      const { exitCode, stdout, stderr } = await runCommand(["serve"], { cwd: site.folder, env });
      expect(exitCode).toBeGreaterThan(0);
      expect(stdout + stderr).toContain(`${holder.port}`);
      expect(stderr).not.toMatch(/^\s+at .+:\d+/m);
    } finally {
      holder.stop(true);
    }
  });

  test("the first start makes an admin key that only its owner can read", async () => {
    const site = await makeSite("embedded");
    await using server = await startServer(site);
    const file = Bun.file(`${site.dataDir}/admin-key`);
    const key = (await file.text()).trim();
    expect((await file.stat()).mode & 0o777).toBe(0o600);
    expect((await makeApi(server.url, key).call("GET", "/jobs")).status).toBe(200);
    expect(await server.log()).not.toContain(key);
  });
});
