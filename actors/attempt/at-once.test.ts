/** What an attempt does at once: FFmpeg starts while the row is written, and two outputs are verified together. */
import { describe, expect, test } from "bun:test";
import { RendiffError } from "../../src/errors.ts";
import type { StorageBackend } from "../../src/storage/port.ts";
import { turn } from "./attempt.fixture.ts";
import { MEDIA, prepare, type Setup, untilKilled } from "./hands.fixture.ts";
import { overall } from "./progress.ts";

describe("an attempt", () => {
  for (const [what, answer, end] of [
    ["cannot be recorded", () => Promise.reject(new Error("the row cannot be written")), "failed"],
    ["finds the lease lost", async () => false, "abandoned"],
  ] as const) {
    test(`FFmpeg is started first; when the stage then ${what}, it is ended and nothing published`, async () => {
      const running = Promise.withResolvers<void>();
      const { run, happened, kept, work } = await prepare({
        recorder: {
          // The first word of the fake FFmpeg.
          progress({ stage, progress }) {
            if (stage === "encoding" && progress === overall(stage, 0)) happened.push("ffmpeg starts");
          },
          async stage(name) {
            if (name !== "encoding") return true;
            happened.push("recording");
            await running.promise;
            return await answer();
          },
        },
        async during(_root, signal) {
          running.resolve();
          await untilKilled(signal, () => happened.push("ffmpeg is dead"));
        },
      });
      expect((await run()).outcome).toBe(end);
      const recorded = end === "abandoned" ? [] : ["fail"];
      expect(happened).toEqual(["ffmpeg starts", "recording", "ffmpeg is dead", "work folder removed", ...recorded]);
      expect([await kept(), await work()]).toEqual([["in.mp4"], []]);
    });
  }

  const THUMBNAILS = [0, 0.2, 0.4, 0.6].map((time) => ({ type: "thumbnail", time }));

  test("of a job's outputs two are verified at once, and never a third", async () => {
    let [now, most] = [0, 0];
    const two = Promise.withResolvers<void>();
    const { run } = await prepare({
      operations: THUMBNAILS,
      async verify() {
        now += 1;
        most = Math.max(most, now);
        if (now === 2) two.resolve();
        await two.promise;
        for (let turns = 0; turns < 20; turns += 1) await turn();
        now -= 1;
        return MEDIA;
      },
    });
    expect(await run()).toMatchObject({ outcome: "completed" });
    expect(most).toBe(2);
  });

  test("one output that is not good ends the job when the verification beside it has ended", async () => {
    const both = Promise.withResolvers<void>();
    let begun = 0;
    const { run, happened, kept, work } = await prepare({
      operations: THUMBNAILS,
      // The only thing here that takes real time.
      backend: () => ({ prepare: async () => null }),
      async verify(output) {
        begun += 1;
        if (begun === 2) both.resolve();
        await both.promise;
        if (output.file === "out/0.mp4") throw new RendiffError({ kind: "output.invalid", publicMessage: "No." });
        for (let turns = 0; turns < 50; turns += 1) await turn();
        happened.push("verified");
        return MEDIA;
      },
    });
    expect(await run()).toMatchObject({ outcome: "failed", error: { kind: "output.invalid" } });
    expect(happened).toEqual(["verified", "work folder removed", "fail"]);
    expect([await kept(), await work()]).toEqual([["in.mp4"], []]);
  });

  /** What happens to the output's bytes, in order, with `verify` and the recorder as given. */
  async function watchStaging(setup: Pick<Setup, "recorder" | "verify"> & { readonly stage?: () => void }) {
    const order: string[] = [];
    const begun = Promise.withResolvers<void>();
    const say = (what: string, objects: readonly object[] = []): void =>
      void order.push(`${what} ${objects.map((one) => ("handle" in one ? "handle" : "intent")).join(" ")}`.trim());
    const attempt = await prepare({
      ...(setup.verify === undefined ? {} : { verify: setup.verify }),
      recorder: {
        async staged(objects) {
          say("staged:", objects);
          return true;
        },
        async stage(name, { staging = [] } = {}) {
          if (name === "uploading") say("uploading:", staging);
          return true;
        },
        async forgetStaging() {
          order.push("forgotten");
        },
        ownStaging: async () => [],
        ...setup.recorder,
      },
      backend: (own) => ({
        async stage(...args: Parameters<StorageBackend["stage"]>) {
          order.push("begun");
          setup.stage?.();
          const staged = await own.stage(...args);
          begun.resolve();
          return staged;
        },
        async fill(...args: Parameters<StorageBackend["fill"]>) {
          order.push("filled");
          return await own.fill(...args);
        },
      }),
    });
    return { ...attempt, order, begun: begun.promise };
  }

  test("staging is begun while the output is verified, and its handle on record before a byte of it leaves", async () => {
    let begun = Promise.resolve();
    const { run, order, kept, ...watched } = await watchStaging({
      async verify() {
        await begun;
        order.push("verified");
        return MEDIA;
      },
    });
    begun = watched.begun;
    expect((await run()).outcome).toBe("completed");
    expect(order).toEqual(["staged: intent", "begun", "verified", "uploading: handle", "filled"]);
    expect(await kept()).toEqual(["in.mp4", "out.mp4"]);
  });

  test("what a store does not begin then it is asked for again, when the output is known to be good", async () => {
    let asked = 0;
    const { run, order, kept } = await watchStaging({
      stage() {
        asked += 1;
        if (asked === 1) throw new RendiffError({ kind: "storage.unavailable", publicMessage: "Away." });
      },
    });
    expect((await run()).outcome).toBe("completed");
    expect(order).toEqual(["staged: intent", "begun", "uploading: intent", "begun", "staged: handle", "filled"]);
    expect(await kept()).toEqual(["in.mp4", "out.mp4"]);
  });

  test("an output that is not as planned leaves nothing of what was begun for it, and no row", async () => {
    let begun = Promise.resolve();
    const { run, order, kept, ...watched } = await watchStaging({
      async verify() {
        await begun;
        throw new RendiffError({ kind: "output.invalid", publicMessage: "No." });
      },
    });
    begun = watched.begun;
    expect(await run()).toMatchObject({ outcome: "failed", error: { kind: "output.invalid" } });
    expect(order).toEqual(["staged: intent", "begun", "forgotten"]);
    expect(await kept()).toEqual(["in.mp4"]);
  });

  test("a lease that is lost by then begins nothing", async () => {
    const { run, order, kept } = await watchStaging({ recorder: { staged: async () => false } });
    expect((await run()).outcome).toBe("abandoned");
    expect([order, await kept()]).toEqual([[], ["in.mp4"]]);
  });
});
