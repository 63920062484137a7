/** Children that will not end, parents that end too early, and output without end. */
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { getPriority } from "node:os";
import { join } from "node:path";
import { limitTime } from "../../src/ffmpeg/limit-time.ts";
import { LEAST_URGENT, type ProcessHandle, type ProcessRequest } from "../../src/process/port.ts";
import { testEnv } from "../support/env.ts";
import { isAlive, mediaProcessesWith, processesWith } from "../support/processes.ts";
import { RUNNER_KINDS, run, runnerOf, shell, showPrograms, toRequest } from "../support/sandbox.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { until, within } from "../support/until.ts";

const MIB = 1024 * 1024;
const FLOOD_BYTES = 256 * MIB;

/** FFmpeg that encodes a test picture for ever at the speed of a film. */
const endless = (workDir: string, file: string, rest: Partial<ProcessRequest> = {}) =>
  toRequest(
    testEnv().ffmpeg,
    [
      ...["-v", "error", "-nostdin", "-progress", "pipe:1", "-stats_period", "0.1", "-re"],
      ...["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25", "-c:v", "mpeg4", `file:${workDir}/${file}`],
    ],
    { workDir, ...rest },
  );

/** Behind the name in brackets the policy is the 39th field; sched(7) numbers SCHED_IDLE 5. */
const isIdle = (pid: number): boolean =>
  readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ")[38] === "5";

/** Starts and resolves once the program has printed a line. */
async function startAndHear(start: (request: ProcessRequest) => ProcessHandle, request: ProcessRequest) {
  const heard = Promise.withResolvers<void>();
  const handle = start({ ...request, onLine: () => heard.resolve() });
  await within(heard.promise, 10_000, "the program's first line");
  return handle;
}

for (const kind of RUNNER_KINDS) {
  describe(`a child under ${kind}`, () => {
    test("that ignores SIGTERM is dead within 2 s of stop(500), all of it", async () => {
      const runner = await runnerOf(kind);
      const workDir = await makeTempDir("stubborn");
      const script = `trap '' TERM; echo ready; while :; do sleep 60 & wait; done # ${workDir}`;
      const request = shell(script, { workDir, readOnly: showPrograms("sleep") });
      const handle = await startAndHear(runner.start, request);
      const startedAt = performance.now();
      const exit = await within(handle.stop(500), 5_000, "stop");
      expect(performance.now() - startedAt).toBeLessThan(2_000);
      expect(exit.signal).toBe("SIGKILL");
      expect(processesWith(workDir)).toEqual([]);
    });

    test("ends gracefully on stop: FFmpeg writes its trailer", async () => {
      const runner = await runnerOf(kind);
      const workDir = await makeTempDir("graceful");
      const handle = await startAndHear(runner.start, endless(workDir, "out.mp4"));
      const exit = await within(handle.stop(5_000), 5_000, "stop");
      expect({ code: exit.exitCode, signal: exit.signal }).toEqual({ code: 255, signal: null });
      expect(await Bun.file(join(workDir, "out.mp4")).text()).toContain("moov");
    });

    test("is nice, and so is the session that it leads", async () => {
      const runner = await runnerOf(kind);
      const workDir = await makeTempDir("nice");
      const handle = await startAndHear(runner.start, endless(workDir, "out.mp4", { niceness: 7 }));
      const [program] = mediaProcessesWith(workDir).filter(({ name }) => name.startsWith("ffmpeg"));
      // Behind the name in brackets: the state is the first field, and niceness the 17th.
      const fields = readFileSync(`/proc/${program?.pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? [];
      expect(fields[16]).toBe(`${getPriority() + 7}`);
      const session = `/proc/${program?.pid}/autogroup`;
      if (existsSync(session)) expect(readFileSync(session, "utf8")).toContain("nice 7");
      handle.kill();
      await handle.exited;
    });

    test("that is least urgent gets what nobody else wants", async () => {
      const runner = await runnerOf(kind);
      const workDir = await makeTempDir("idle");
      const handle = runner.start(
        shell("sleep 60", { workDir, readOnly: showPrograms("sleep"), niceness: LEAST_URGENT }),
      );
      // What it begins from then on inherits it. On a busy machine that is not soon.
      await until(() => isIdle(handle.pid), { what: "the child to be idle" });
      handle.kill();
      await handle.exited;
    });

    test("that is given no processor is not taken for one that hangs; one that has it and does nothing is", async () => {
      const runner = await runnerOf(kind);
      const workDir = await makeTempDir("starved");
      const spins = `echo ready; while :; do :; done # ${workDir}`;
      const handle = await startAndHear(runner.start, shell(spins, { workDir }));
      // What is idle may wait for seconds, and Linux tells of a wait when it is over.
      const idle = runner.start(shell(spins, { workDir, niceness: LEAST_URGENT }));
      await until(() => isIdle(idle.pid), { what: "the child to be idle" });
      const [cpu = "0"] =
        /^Cpus_allowed_list:\s*(\d+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.slice(1) ?? [];
      for (const { pid } of processesWith(workDir)) Bun.spawnSync(["taskset", "-cp", cpu, `${pid}`]);
      const rivals = [1, 2, 3, 4].map(() => {
        const rival = ["taskset", "-c", cpu, "setpriv", "--pdeathsig", "KILL", "--", "sh", "-c", "while :; do :; done"];
        return Bun.spawn(rival, { stdio: ["ignore", "ignore", "ignore"], detached: true });
      });
      const startedAt = performance.now();
      let reachedAfterMs = 0;
      const limit = limitTime(handle, 400, () => {
        reachedAfterMs = performance.now() - startedAt;
      });
      let idleReached = false;
      const idleLimit = limitTime(idle, 400, () => {
        idleReached = true;
      });
      await until(() => performance.now() - startedAt > 800);
      const reachedEarly = reachedAfterMs > 0 || idleReached;
      idleLimit.end();
      idle.kill();
      for (const rival of rivals) rival.kill("SIGKILL");
      await until(() => reachedAfterMs > 0, { what: "the limit to be reached" });
      limit.end();
      handle.kill();
      await Promise.all([handle.exited, idle.exited, ...rivals.map(({ exited }) => exited)]);
      expect(reachedEarly).toBe(false);
    });

    test("is killed at once by kill(), and both can be called again and together", async () => {
      const runner = await runnerOf(kind);
      const workDir = await makeTempDir("killed");
      const handle = await startAndHear(runner.start, endless(workDir, "out.mkv"));
      const startedAt = performance.now();
      handle.kill();
      handle.kill();
      const [exit] = await Promise.all([handle.stop(5_000), handle.stop(5_000)]);
      expect(performance.now() - startedAt).toBeLessThan(500);
      expect(exit.signal).toBe("SIGKILL");
      expect(mediaProcessesWith(workDir)).toEqual([]);
      handle.kill();
      expect(await handle.exited).toBe(exit);
    });

    test("can be stopped before it has begun", async () => {
      const runner = await runnerOf(kind);
      const workDir = await makeTempDir("early");
      const exits = await Promise.all(
        Array.from({ length: 10 }, () => within(runner.start(endless(workDir, "out.mkv")).stop(300), 5_000)),
      );
      for (const { exitCode } of exits) expect(exitCode).not.toBe(0);
      expect(mediaProcessesWith(workDir)).toEqual([]);
    });

    test("dies with its parent, however the parent dies", async () => {
      const workDir = await makeTempDir("orphan");
      const fixture = join(import.meta.dir, "fixtures/process-parent.ts");
      const parent = Bun.spawn([process.execPath, fixture, kind, workDir, testEnv().ffmpeg], {
        stdout: "pipe",
        stderr: "inherit",
      });
      const { value } = await within(parent.stdout.getReader().read(), 15_000, "the parent's word");
      expect(new TextDecoder().decode(value)).toBe("running\n");
      const [child] = mediaProcessesWith(workDir);
      expect(child).toBeDefined();
      parent.kill("SIGKILL");
      await parent.exited;
      await until(() => processesWith(workDir).length === 0, { timeoutMs: 2_000, what: "the orphan to die" });
    });

    test("that floods stderr and stdout never blocks, and costs no memory", async () => {
      const runner = await runnerOf(kind);
      const readOnly = showPrograms("yes", "head");
      const line = "flood".repeat(40);
      Bun.gc(true);
      const before = process.memoryUsage.rss();
      let lines = 0;
      let peak = before;
      let over = false;
      const look = () => {
        peak = Math.max(peak, process.memoryUsage.rss());
        return over;
      };
      const watch = until(look, { timeoutMs: 60_000, intervalMs: 20, what: "the floods to end" });
      const onLine = () => {
        lines += 1;
      };
      const flood = (script: string) => runner.start({ ...shell(script, { readOnly }), onLine }).exited;
      const [stderr] = await Promise.all([
        flood(`yes ${line} | head -c ${FLOOD_BYTES} >&2`),
        flood(`yes ${line} | head -c ${FLOOD_BYTES}`),
        // One line without end.
        flood(`head -c ${FLOOD_BYTES} /dev/zero`),
      ]);
      over = true;
      await watch;
      expect(stderr.stderrTail).toHaveLength(16_384);
      expect(lines).toBeGreaterThan(FLOOD_BYTES / 201);
      expect(peak - before).toBeLessThan(150 * MIB);
    });

    test("is held to its limits", async () => {
      const runner = await runnerOf(kind);
      const workDir = await makeTempDir("limits");
      const limits = { addressSpaceBytes: 4_000 * MIB, fileBytes: 100_000, cpuSeconds: 20, openFiles: 64 };
      const shown = await run(runner, shell("ulimit -v; ulimit -n; ulimit -c; ulimit -t", { limits }));
      expect(shown.lines).toEqual(["4096000", "64", "0", "20"]);
      const filled = await run(
        runner,
        shell(`yes > ${workDir}/big`, { workDir, limits, readOnly: showPrograms("yes") }),
      );
      expect(filled.exitCode).not.toBe(0);
      expect(Bun.file(join(workDir, "big")).size).toBeLessThanOrEqual(100_000);
    });

    test("reports its exit, its signal and what it used", async () => {
      const runner = await runnerOf(kind);
      const ended = await run(runner, shell("echo out; echo err >&2; exit 7"));
      expect(ended).toMatchObject({ exitCode: 7, signal: null, stderrTail: "err\n", lines: ["out"] });
      expect(ended.wallMs).toBeGreaterThan(0);
      const busy = await run(runner, toRequest(testEnv().ffmpeg, ["-hide_banner", "-version"]));
      expect(busy.cpuMs).toBeGreaterThan(1);
      expect(busy.peakRssBytes).toBeGreaterThan(10 * MIB);
    });

    test("leaves no descriptor and no process behind", async () => {
      const runner = await runnerOf(kind);
      const round = () => Promise.all(Array.from({ length: 5 }, () => run(runner, shell("echo x; echo y >&2"))));
      const pipes = () =>
        readdirSync("/proc/self/fd").filter((fd) => {
          try {
            return /^(pipe|socket):/.test(readlinkSync(`/proc/self/fd/${fd}`));
          } catch {
            return false;
          }
        }).length;
      await round();
      const before = pipes();
      for (let i = 0; i < 5; i += 1) await round();
      await until(() => pipes() <= before, { what: "all pipes to be closed" });
    });
  });
}

test("signals are never sent to a process of others: a dead child's pid is left alone", async () => {
  const runner = await runnerOf(RUNNER_KINDS[0] ?? "watchdog");
  const handle = runner.start(shell("exit 0"));
  await handle.exited;
  expect(isAlive(handle.pid)).toBe(false);
  handle.kill();
  expect(await handle.stop(10)).toMatchObject({ exitCode: 0 });
});
