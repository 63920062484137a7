import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Actor, toPromise } from "xstate";
import { makeLoneClaim } from "../../src/jobs/lone-claim.ts";
import type { LiveProgress } from "../../src/jobs/types.ts";
import type { MediaInfo } from "../../src/media/types.ts";
import { openLocalBackend } from "../../src/storage/local/local-backend.ts";
import type { StorageBackend } from "../../src/storage/port.ts";
import { makeStorageRegistry } from "../../src/storage/registry.ts";
import { makeMetrics } from "../../src/telemetry/metrics.ts";
import { makeTracer } from "../../src/telemetry/tracer.ts";
import { makeWorkFolders } from "../../src/work-folders/work-folders.ts";
import { sampleCapabilities, sampleLimits } from "../../test/support/capabilities.ts";
import { silentLogger } from "../../test/support/silent-logger.ts";
import { makeTempDir } from "../../test/support/temp-dir.ts";
import { spawnRoot } from "../spawn-root.ts";
import { turn } from "./attempt.fixture.ts";
import { type AttemptLogic, makeAttemptLogic } from "./attempt.logic.ts";
import type { AttemptEvent } from "./attempt.types.ts";
import type { AttemptPorts } from "./ports.ts";
import { makeProcessors } from "./processors.ts";
import type { Recorder } from "./recorder.ts";
import { makeTerminalRecorder } from "./terminal-recorder.ts";

export const MEDIA = (await Bun.file(
  join(import.meta.dir, "../../test/golden/h264-crf/media-info.json"),
).json()) as MediaInfo;

export interface Setup {
  readonly output?: string;
  readonly overwrite?: boolean;
  readonly recorder?: Partial<Recorder>;
  /** After the encode. */
  readonly operations?: readonly Record<string, unknown>[];
  readonly verify?: AttemptPorts["tools"]["verify"];
  readonly ports?: Partial<AttemptPorts>;
  readonly probe?: AttemptPorts["tools"]["probe"];
  readonly backend?: (own: StorageBackend) => Partial<StorageBackend>;
  /** Instead of the encode's own work; it has written its file by then. */
  readonly during?: (root: string, signal: AbortSignal, step: { file: string; moved(): void }) => Promise<void>;
}

/** An attempt on real local storage and work folders, with fakes for FFmpeg and the database. */
export async function prepare(setup: Setup = {}) {
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
        const written = JSON.stringify(step).matchAll(/"(out\/[^"%]+)"/g);
        for (const [, name = ""] of written) await writeFile(join(workDir, name), `output of ${step.id}`);
        await setup.during?.(root, signal, { file, moved: () => say(100) });
        return { wallMs: 10, cpuMs: 10, loudness: [] };
      },
      verify: setup.verify ?? (async () => MEDIA),
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
    operations: [{ type: "transcode", video_codec: "h264", crf: 30 }, ...(setup.operations ?? [])],
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
export async function untilKilled(signal: AbortSignal, died: () => void): Promise<void> {
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  for (let turns = 0; turns < 50; turns += 1) await turn();
  died();
  throw signal.reason;
}
