/** The attempt's hands with plain fakes around them: what it reports, refuses, waits for and leaves behind. */
import { describe, expect, mock, test } from "bun:test";
import { mkdir, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Actor, toPromise } from "xstate";
import { RendiffError } from "../../src/errors.ts";
import type { ProbeCache } from "../../src/ffmpeg/probe-cache.ts";
import { makeLoneClaim } from "../../src/jobs/lone-claim.ts";
import type { LiveProgress, PublishManifest } from "../../src/jobs/types.ts";
import type { MediaInfo } from "../../src/media/types.ts";
import { openLocalBackend } from "../../src/storage/local/local-backend.ts";
import type { StagedObject, StorageBackend } from "../../src/storage/port.ts";
import { makeStorageRegistry } from "../../src/storage/registry.ts";
import { makeMetrics } from "../../src/telemetry/metrics.ts";
import { makeTracer } from "../../src/telemetry/tracer.ts";
import { makeWorkFolders } from "../../src/work-folders/work-folders.ts";
import { sampleCapabilities, sampleLimits } from "../../test/support/capabilities.ts";
import { silentLogger } from "../../test/support/silent-logger.ts";
import { makeTempDir } from "../../test/support/temp-dir.ts";
import { until } from "../../test/support/until.ts";
import { spawnRoot } from "../spawn-root.ts";
import { turn } from "./attempt.fixture.ts";
import { type AttemptLogic, makeAttemptLogic } from "./attempt.logic.ts";
import type { AttemptEvent } from "./attempt.types.ts";
import type { AttemptPorts } from "./ports.ts";
import { makeProcessors } from "./processors.ts";
import type { Recorder } from "./recorder.ts";
import { makeTerminalRecorder } from "./terminal-recorder.ts";

const MEDIA = (await Bun.file(join(import.meta.dir, "../../test/golden/h264-crf/media-info.json")).json()) as MediaInfo;

interface Setup {
  readonly output?: string;
  readonly overwrite?: boolean;
  readonly recorder?: Partial<Recorder>;
  readonly ports?: Partial<AttemptPorts>;
  readonly probe?: AttemptPorts["tools"]["probe"];
  readonly backend?: (own: StorageBackend) => Partial<StorageBackend>;
  /** Instead of the encode's own work; it has written its file by then. */
  readonly during?: (root: string, signal: AbortSignal, step: { file: string; moved(): void }) => Promise<void>;
}

/** An attempt on real local storage and work folders, with fakes for FFmpeg and the database. */
async function prepare(setup: Setup = {}) {
  const [root, tempDir] = [await makeTempDir("files"), await makeTempDir("work")];
  await writeFile(join(root, "in.mp4"), "input");
  const own = await openLocalBackend({ name: "local", root });
  const changed: Partial<StorageBackend> = setup.backend?.(own) ?? {};
  const backend = new Proxy(own, {
    get(target, name) {
      const value: unknown = Reflect.get(name in changed ? changed : target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const happened: string[] = [];
  const progress: Omit<LiveProgress, "jobId">[] = [];
  const terminal = makeTerminalRecorder(() => {});
  const note =
    <Args extends unknown[], T>(name: string, method: (...args: Args) => Promise<T>) =>
    async (...args: Args): Promise<T> => {
      const answer = await method(...args);
      happened.push(name);
      return answer;
    };
  const base: Recorder = { ...terminal, progress: (report) => void progress.push(report), ...setup.recorder };
  const recorder: Recorder = {
    ...base,
    cancelled: note("cancelled", base.cancelled),
    snoozed: note("snoozed", base.snoozed),
    fail: note("fail", base.fail),
    complete: note("complete", base.complete),
  };
  const folders = await makeWorkFolders({ tempDir, tempLimitBytes: 1e9 });
  const ports: AttemptPorts = {
    recorder: () => recorder,
    storage: makeStorageRegistry([backend]),
    tools: {
      sandboxed: false,
      probe: setup.probe ?? (async () => MEDIA),
      async run({ step, workDir, signal, onProgress }) {
        const say = (percent: number): void =>
          onProgress({ percent, fps: 25, speed: 1, etaSeconds: 1, outSeconds: 1 } as never);
        for (const percent of [0, 50, 100]) say(percent);
        await mkdir(join(workDir, "out"), { recursive: true });
        const file = join(workDir, "out/0.mp4");
        await writeFile(file, `output of ${step.id}`);
        await setup.during?.(root, signal, { file, moved: () => say(100) });
        return { wallMs: 10, cpuMs: 10, loudness: [] };
      },
      async verify({ file }, { workDir }) {
        if (!(await Bun.file(join(workDir, file)).exists())) await writeFile(join(workDir, file), "output");
        return MEDIA;
      },
      writeContent: async () => MEDIA,
      finishPackage: async () => [],
    },
    keepKey: null,
    probes: { through: (_, __, find) => find() },
    workFolders: { ...folders, remove: note("work folder removed", folders.remove) },
    memory: async () => ({ release() {} }),
    ...{
      capabilities: sampleCapabilities(5),
      limits: { ...sampleLimits, jobTimeoutMs: 60_000 },
      processors: makeProcessors(1, 1),
    },
    ...{ publishTimeoutMs: 60_000, logger: silentLogger(), metrics: makeMetrics(), tracer: makeTracer({ sink: null }) },
    ...setup.ports,
  };
  const options = setup.overwrite === undefined ? {} : { overwrite: setup.overwrite };
  const spec = {
    ...{ inputs: ["local:///in.mp4"], output: `local:///${setup.output ?? "out.mp4"}`, options },
    operations: [{ type: "transcode", video_codec: "h264", crf: 30 }],
  };
  let actor: Actor<AttemptLogic> | null = null;
  const run = () => {
    const input = { claim: makeLoneClaim({ spec }) };
    actor = spawnRoot(makeAttemptLogic(ports), { id: "attempt", input, logger: silentLogger() });
    return toPromise(actor);
  };
  const send = (type: AttemptEvent["type"]) => actor?.send({ type });
  const kept = async () => [...new Bun.Glob("**/*").scanSync({ cwd: root, dot: true })].sort();
  const work = async () => [...new Bun.Glob("**/*").scanSync({ cwd: tempDir, dot: true })];
  return { send, run, root, happened, progress, kept, work };
}

/** Until `signal` aborts, and then for some turns more: as a process that takes its time to die. */
async function untilKilled(signal: AbortSignal, died: () => void): Promise<void> {
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  for (let turns = 0; turns < 50; turns += 1) await turn();
  died();
  throw signal.reason;
}

describe("an attempt", () => {
  test("publishes, says how far it is in numbers that only grow, and leaves nothing else", async () => {
    const { run, progress, kept, work } = await prepare();
    expect(await run()).toMatchObject({ outcome: "completed", error: null });
    const numbers = progress.map((report) => report.progress);
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
    expect(numbers.length).toBeGreaterThanOrEqual(5);
    expect(Math.max(...numbers)).toBeLessThan(100);
    const stages = [...new Set(progress.map(({ stage }) => stage))].join(" ");
    expect(stages).toBe("probing planning encoding verifying uploading publishing");
    expect(await kept()).toEqual(["in.mp4", "out.mp4"]);
    expect(await work()).toEqual([]);
  });

  test("its processors are free before its end is told: who sends the next job then means it to have them all", async () => {
    const processors = makeProcessors(8, "auto");
    const next: number[] = [];
    const terminal = makeTerminalRecorder(() => {});
    const complete: Recorder["complete"] = async (...args) => {
      const one = processors.enter("normal");
      next.push(processors.threadsFor("normal"));
      one.release();
      return terminal.complete(...args);
    };
    const { run } = await prepare({ ports: { processors }, recorder: { complete } });
    expect(await run()).toMatchObject({ outcome: "completed" });
    expect(next).toEqual([8]);
  });

  test("an input that is known is not probed again, one that was replaced is", async () => {
    const asked: string[] = [];
    const known = new Set<string>();
    const through: ProbeCache["through"] = async ({ ref, type, identity }, _, find) => {
      asked.push(`${type} ${ref.backend} ${ref.key}`);
      if (known.has(identity)) return MEDIA;
      known.add(identity);
      return await find();
    };
    const probe = mock(async () => MEDIA);
    const { run, root } = await prepare({ ports: { probes: { through } }, probe });
    for (let time = 0; time < 2; time++) expect(await run()).toMatchObject({ outcome: "completed" });
    expect([asked, probe.mock.calls.length]).toEqual([Array(2).fill("local local in.mp4"), 1]);
    await writeFile(join(root, "in.mp4"), "another input");
    expect(await run()).toMatchObject({ outcome: "completed" });
    expect(probe).toHaveBeenCalledTimes(2);
  });

  test("refuses an output that is the input, by whatever name", async () => {
    const { run, kept } = await prepare({ output: "in.mp4" });
    expect(await run()).toMatchObject({ outcome: "failed", error: { kind: "output.conflict" } });
    expect(await kept()).toEqual(["in.mp4"]);
  });

  test("with overwrite: false refuses what exists before the work, and what came to exist during it", async () => {
    const existing = await prepare({ overwrite: false });
    await writeFile(join(existing.root, "out.mp4"), "theirs");
    expect(await existing.run()).toMatchObject({ outcome: "failed", error: { kind: "output.exists" } });
    // Nothing was encoded.
    expect(existing.progress.map(({ stage }) => stage)).toEqual(["probing", "planning"]);
    const raced = await prepare({ overwrite: false, during: (root) => writeFile(join(root, "out.mp4"), "theirs") });
    expect(await raced.run()).toMatchObject({ outcome: "failed", error: { kind: "output.exists" } });
    expect(await Bun.file(join(raced.root, "out.mp4")).text()).toBe("theirs");
    expect(await raced.kept()).toEqual(["in.mp4", "out.mp4"]);
  });

  test("an input that changed while it was read fails the job", async () => {
    const { run, kept } = await prepare({ during: (root) => writeFile(join(root, "in.mp4"), "another input") });
    expect(await run()).toMatchObject({ outcome: "failed", error: { kind: "input.changed" } });
    expect(await kept()).toEqual(["in.mp4"]);
  });

  test("a disk that is full for now is a reason to try again", async () => {
    const retries: string[] = [];
    const recorder: Partial<Recorder> = {
      async fail(_failure, retry) {
        retries.push(retry);
        return "retrying";
      },
    };
    const tempDir = await makeTempDir("work");
    const folders = await makeWorkFolders({ tempDir, tempLimitBytes: 1e9 });
    const { run } = await prepare({ recorder, ports: { workFolders: { ...folders, reserve: async () => null } } });
    expect(await run()).toMatchObject({ outcome: "retrying", error: { kind: "resource.disk" } });
    expect(retries).toEqual(["backoff"]);
  });

  for (const [event, end] of [
    ["cancel.requested", "cancelled"],
    ["drain.expired", "snoozed"],
    ["lease.lost", "abandoned"],
  ] as const) {
    test(`${event}: what ran is dead and the work folder gone before the end is recorded`, async () => {
      let running = false;
      const { send, run, happened, kept, work } = await prepare({
        async during(_root, signal) {
          running = true;
          await untilKilled(signal, () => happened.push("ffmpeg is dead"));
        },
      });
      const ended = run();
      await until(() => running);
      send(event);
      expect((await ended).outcome).toBe(end);
      const recorded = end === "abandoned" ? [] : [end];
      expect(happened).toEqual(["ffmpeg is dead", "work folder removed", ...recorded]);
      expect([await kept(), await work()]).toEqual([["in.mp4"], []]);
    });
  }

  test("staged bytes are removed when an upload fails, and the job fails though they cannot be", async () => {
    const failing = (aborts: boolean) => (own: StorageBackend) => ({
      fill: async (): Promise<never> => {
        throw new RendiffError({ kind: "storage.denied", publicMessage: "No." });
      },
      async abort(...args: Parameters<StorageBackend["abort"]>) {
        if (!aborts) throw new Error("the store is away");
        await own.abort(...args);
      },
    });
    for (const aborts of [true, false]) {
      const { run, happened, kept } = await prepare({ backend: failing(aborts) });
      expect(await run()).toMatchObject({ outcome: "failed", error: { kind: "storage.denied" } });
      expect(happened).toContain("fail");
      if (aborts) expect(await kept()).toEqual(["in.mp4"]);
    }
  });

  test("what was begun while the file was written is gone on with, though it could not be recorded then", async () => {
    const recorded: string[] = [];
    const begun: StagedObject[] = [];
    const known = Promise.withResolvers<void>();
    const { run, kept } = await prepare({
      async during(_root, _signal, { file, moved }) {
        // As large as an output has to be for that.
        await truncate(file, 17 * 1024 * 1024);
        moved();
        await known.promise;
      },
      backend: (own) => ({
        async stage(...args: Parameters<StorageBackend["stage"]>) {
          const staged = await own.stage(...args);
          begun.push(staged);
          return staged;
        },
        sendAhead: () => Promise.reject(new Error("It was never recorded.")),
      }),
      recorder: {
        async staged(objects) {
          const handles = objects.flatMap((object) => ("handle" in object ? [object.handle] : []));
          recorded.push(...handles);
          if (handles.length === 0 || recorded.length > 1) return true;
          known.resolve();
          throw new Error("the database is away");
        },
      },
    });
    expect(await run()).toMatchObject({ outcome: "completed" });
    const [handle = ""] = begun.map((staged) => staged.handle);
    expect([begun.length, recorded]).toEqual([1, [handle, handle]]);
    expect(await kept()).toEqual(["in.mp4", "out.mp4"]);
  });

  test("what was begun after the sweeper had forgotten its intent is removed by who began it", async () => {
    const { run, kept, work } = await prepare({ recorder: { staged: async () => false, ownStaging: async () => [] } });
    expect(await run()).toMatchObject({ outcome: "abandoned" });
    expect(await kept()).toEqual(["in.mp4"]);
    expect(await work()).toEqual([]);
  });

  test("what a manifest in the row names is never removed: publishing that fails only puts the job back", async () => {
    let aborted = 0;
    const fenced: PublishManifest[] = [];
    const { run } = await prepare({
      backend: () => ({
        publish: async (): Promise<never> => {
          throw new RendiffError({ kind: "storage.unavailable", retry: "backoff", publicMessage: "Away." });
        },
        abort: async () => {
          aborted += 1;
        },
      }),
      recorder: {
        async fence(manifest) {
          fenced.push(manifest);
          return { outcome: "fenced" };
        },
        fail: async () => "retrying",
        // As the database answers: nothing of what a manifest names is the attempt's.
        ownStaging: async () => [],
      },
    });
    expect(await run()).toMatchObject({ outcome: "retrying", error: { kind: "storage.unavailable" } });
    expect([aborted, fenced.length]).toEqual([0, 1]);
  });
});
