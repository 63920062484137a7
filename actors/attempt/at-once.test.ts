/** What an attempt does at once: FFmpeg starts while the row is written, and two outputs are verified together. */
import { describe, expect, test } from "bun:test";
import { RendiffError } from "../../src/errors.ts";
import { turn } from "./attempt.fixture.ts";
import { MEDIA, prepare, untilKilled } from "./hands.fixture.ts";
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
});
