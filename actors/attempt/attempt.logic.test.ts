/** The attempt's hands with plain fakes around them: what it reports, refuses, waits for and leaves behind. */
import { describe, expect, mock, test } from "bun:test";
import { truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { RendiffError } from "../../src/errors.ts";
import type { ProbeCache } from "../../src/ffmpeg/probe-cache.ts";
import type { PublishManifest } from "../../src/jobs/types.ts";
import type { StagedObject, StorageBackend } from "../../src/storage/port.ts";
import { makeWorkFolders } from "../../src/work-folders/work-folders.ts";
import { makeTempDir } from "../../test/support/temp-dir.ts";
import { until } from "../../test/support/until.ts";
import { MEDIA, prepare, untilKilled } from "./hands.fixture.ts";
import { makeProcessors } from "./processors.ts";
import type { Recorder } from "./recorder.ts";
import { makeTerminalRecorder } from "./terminal-recorder.ts";

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
      next.push(await processors.threadsFor("normal"));
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
          if (handles.length === 0) return true;
          known.resolve();
          throw new Error("the database is away");
        },
        async stage(_name, { staging = [] } = {}) {
          recorded.push(...staging.flatMap((object) => ("handle" in object ? [object.handle] : [])));
          return true;
        },
      },
    });
    expect(await run()).toMatchObject({ outcome: "completed" });
    const [handle = ""] = begun.map((staged) => staged.handle);
    expect([begun.length, recorded]).toEqual([1, [handle, handle]]);
    expect(await kept()).toEqual(["in.mp4", "out.mp4"]);
  });

  test("what was begun after the sweeper had forgotten its intent is removed by who began it", async () => {
    const { run, kept, work } = await prepare({
      recorder: { stage: async (name) => name !== "uploading", ownStaging: async () => [] },
    });
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
