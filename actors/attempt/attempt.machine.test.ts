/** The chart with stub actors: what each state does with each event and each answer, for every state there is. */
import { describe, expect, test } from "bun:test";
import { RendiffError } from "../../src/errors.ts";
import { makeLoneClaim } from "../../src/jobs/lone-claim.ts";
import { until } from "../../test/support/until.ts";
import { GOOD, MANIFEST, PATH, turn, Walk } from "./attempt.fixture.ts";
import { attemptMachine } from "./attempt.machine.ts";

const error = new RendiffError({ kind: "ffmpeg.failed", publicMessage: "It failed." });
const REUSES = makeLoneClaim({ spec: { options: { reuse: true } } });
const WORKING = [["reuse", "reusing"] as const, ...PATH.slice(0, 6)];
const BEFORE_THE_FENCE = [...WORKING.map(([, state]) => state), "waitingForKey"];

/** A walk that stands in `state`. */
async function at(state: string): Promise<Walk> {
  const ways: Record<string, () => Promise<Walk>> = {
    reusing: () => Walk.to("reusing", REUSES),
    cancelling: async () => sent(await Walk.to("encoding"), "cancel.requested"),
    snoozing: async () => sent(await Walk.to("encoding"), "drain.expired"),
    abandoning: async () => sent(await Walk.to("encoding"), "lease.lost"),
    failing: async () => {
      const walk = await Walk.to("encoding");
      await walk.reject("encode", error);
      return walk;
    },
  };
  const walk = await (ways[state] ?? (() => Walk.to(state)))();
  expect(walk.state).toBe(state);
  return walk;
}

function sent(walk: Walk, type: "lease.lost" | "cancel.requested" | "drain.expired"): Walk {
  walk.actor.send({ type });
  return walk;
}

/** Every state in which an attempt can rest. `claimed` is left at once. */
const RESTING = [
  "reusing",
  ...PATH.map(([, state]) => state),
  "waitingForKey",
  "cancelling",
  "failing",
  "snoozing",
  "abandoning",
];

test("the tests below know every state of the chart", () => {
  const { working, claimed, ...others } = attemptMachine.states;
  const known = [...Object.keys(working?.states ?? {}), ...Object.keys(others)].filter(
    (name) => !["completed", "failed", "retrying", "cancelled", "snoozed", "abandoned"].includes(name),
  );
  expect(claimed).toBeDefined();
  expect(known.toSorted()).toEqual(RESTING.toSorted());
});

describe("from every state", () => {
  for (const state of RESTING) {
    test(`${state}: a lost lease ends in abandoned, once, and aborts what ran`, async () => {
      const walk = await at(state);
      const running = walk.started.at(-1) as string;
      sent(walk, "lease.lost");
      sent(walk, "lease.lost");
      expect(walk.state).toBe("abandoning");
      if (state !== "abandoning" && state !== "waitingForKey") expect(walk.gate(running).signal.aborted).toBe(true);
      await walk.answer("abandon");
      expect(walk.snapshot.output).toMatchObject({ outcome: "abandoned" });
      expect(walk.started.filter((name) => name === "abandon")).toHaveLength(1);
    });

    test(`${state}: it is abandoned also when the clean-up fails`, async () => {
      const walk = sent(await at(state), "lease.lost");
      await walk.reject("abandon", new Error("the disk is gone"));
      expect(walk.snapshot.output?.outcome).toBe("abandoned");
    });
  }
});

test("a lease that is lost after the end was recorded is no news", async () => {
  const walk = await at("cancelling");
  walk.gate("cancel").context.scope.ended = true;
  sent(walk, "lease.lost");
  expect(walk.state).toBe("cancelling");
  await walk.answer("cancel");
  expect(walk.snapshot.output?.outcome).toBe("cancelled");
});

describe("before the fence", () => {
  for (const state of BEFORE_THE_FENCE) {
    test(`${state}: a cancel ends in cancelled and aborts the stage`, async () => {
      const walk = await at(state);
      const running = walk.started.at(-1) as string;
      sent(walk, "cancel.requested");
      expect(walk.gate(running).signal.aborted || state === "waitingForKey").toBe(true);
      await walk.answer("cancel");
      expect(walk.snapshot.output).toMatchObject({ outcome: "cancelled", error: null });
    });

    test(`${state}: the end of a drain puts the job back`, async () => {
      const walk = sent(await at(state), "drain.expired");
      await walk.answer("snooze");
      expect(walk.snapshot.output?.outcome).toBe("snoozed");
    });
  }

  for (const [name, state] of WORKING) {
    test(`${state}: an error fails the job as the store decides`, async () => {
      for (const outcome of ["failed", "retrying", "cancelled"] as const) {
        const walk = await at(state);
        await walk.reject(name, error);
        expect(walk.state).toBe("failing");
        expect(walk.gate("fail").context.error).toBe(error);
        await walk.answer("fail", outcome);
        expect(walk.snapshot.output).toMatchObject({ outcome, error });
      }
      const lost = await at(state);
      await lost.reject(name, error);
      await lost.answer("fail", "lost");
      expect(lost.state).toBe("abandoning");
    });

    test(`${state}: what is thrown that is none of ours is internal`, async () => {
      const walk = await at(state);
      await walk.reject(name, new TypeError("undefined is not a function"));
      expect(walk.gate("fail").context.error?.kind).toBe("internal");
    });

    test(`${state}: news of a lost lease in its answer abandons`, async () => {
      const walk = await at(state);
      await walk.answer(name, { held: false });
      expect(walk.state).toBe("abandoning");
    });
  }
});

describe("the time limit of a job", () => {
  test("ends it in any stage as job.timeout", async () => {
    const walk = new Walk(makeLoneClaim(), 20);
    await walk.answer("download");
    await until(() => walk.state === "failing");
    expect(walk.gate("probe").signal.aborted).toBe(true);
    expect(walk.gate("fail").context.error).toMatchObject({ kind: "job.timeout", retry: "never" });
  });

  test("is over with the fence: publishing has a limit of its own", () => {
    const timed = Object.entries(attemptMachine.states).filter(([, { transitions }]) =>
      [...transitions.keys()].some((event) => event.startsWith("xstate.after.jobTimeout")),
    );
    expect(timed.map(([name]) => name)).toEqual(["working"]);
  });
});

describe("the fence", () => {
  test("its answer decides about a cancel, not the event", async () => {
    const walk = sent(await at("fencing"), "cancel.requested");
    expect(walk.state).toBe("fencing");
    await walk.answer("fence", { outcome: "cancel_requested" });
    expect(walk.state).toBe("cancelling");
    const fenced = sent(await at("fencing"), "cancel.requested");
    await fenced.answer("fence");
    expect(fenced.state).toBe("publishing");
  });

  test("a lost lease abandons", async () => {
    const walk = await at("fencing");
    await walk.answer("fence", { outcome: "lost" });
    expect(walk.state).toBe("abandoning");
  });

  test("a busy key is asked for again until it is free", async () => {
    const walk = await at("fencing");
    for (let tries = 0; tries < 3; tries += 1) {
      await walk.answer("fence", { outcome: "wait" });
      await until(() => walk.state === "fencing");
    }
    await walk.answer("fence");
    expect(walk.state).toBe("publishing");
  });

  test("an error of it is recorded, so that a fence that can never pass does not run the job for ever", async () => {
    const walk = await at("fencing");
    await walk.reject("fence", error);
    expect(walk.state).toBe("failing");
    // The manifest may be in the row: what it names is not the attempt's to remove.
    expect(walk.gate("fail").context.manifest).toEqual(MANIFEST);
  });

  test("a drain that ends meanwhile puts the job back once that is known to be possible", async () => {
    const walk = sent(await at("fencing"), "drain.expired");
    expect(walk.state).toBe("fencing");
    await walk.answer("fence", { outcome: "wait" });
    expect(walk.state).toBe("snoozing");
    const fenced = sent(await at("fencing"), "drain.expired");
    await fenced.answer("fence");
    expect(fenced.state).toBe("publishing");
  });
});

describe("publishing", () => {
  test("takes no cancel and no drain: the job only rolls forward", async () => {
    const walk = sent(sent(await at("publishing"), "cancel.requested"), "drain.expired");
    expect(walk.state).toBe("publishing");
    expect(walk.gate("publish").signal.aborted).toBe(false);
    await walk.answer("publish");
    expect(walk.snapshot.output?.outcome).toBe("completed");
  });

  test("an error puts the job back", async () => {
    const walk = await at("publishing");
    await walk.reject("publish", error);
    expect(walk.gate("fail").context.manifest).toEqual(MANIFEST);
    await walk.answer("fail", "retrying");
    expect(walk.snapshot.output).toMatchObject({ outcome: "retrying", error });
  });

  test("fails with the error it ended with, or is lost", async () => {
    const walk = await at("publishing");
    await walk.answer("publish", { outcome: "failed", error });
    expect(walk.snapshot.output).toMatchObject({ outcome: "failed", error });
    const lost = await at("publishing");
    await lost.answer("publish", { outcome: "lost" });
    expect(lost.state).toBe("abandoning");
  });

  test("is where a job starts whose row has a manifest", async () => {
    const walk = new Walk(makeLoneClaim({ manifest: MANIFEST }));
    await turn();
    expect(walk.started).toEqual(["publish"]);
    expect(walk.gate("publish").context.manifest).toEqual(MANIFEST);
  });
});

describe("a job that asks for an earlier result", () => {
  const output = { output: { role: "primary", file: "out/0", name: null, mediaType: "video/mp4" }, media: {} };

  test("goes from what it took over to uploading", async () => {
    const walk = await at("reusing");
    const reused = { jobId: "earlier", results: null, warnings: [], outputs: [output] };
    await walk.answer("reuse", { held: true, value: { inputs: [], byBytes: null, reused } });
    expect(walk.started).toEqual(["reuse", "upload"]);
    expect(walk.gate("upload").context).toMatchObject({ verified: [output], reuse: { reused }, plan: null });
  });

  test("does the work where there is none, and remembers what it found out", async () => {
    const walk = await at("reusing");
    await walk.answer("reuse", { held: true, value: { inputs: [], byBytes: "sum", reused: null } });
    expect(walk.started).toEqual(["reuse", "download"]);
    expect(walk.gate("download").context.reuse).toMatchObject({ byBytes: "sum" });
  });
});

describe("ends that cannot be recorded", () => {
  for (const [state, name] of [
    ["cancelling", "cancel"],
    ["snoozing", "snooze"],
    ["failing", "fail"],
  ] as const) {
    test(`${state}: the job is left to the next heartbeat`, async () => {
      const walk = await at(state);
      await walk.reject(name, error);
      expect(walk.state).toBe("abandoning");
    });
  }

  for (const [state, name] of [
    ["cancelling", "cancel"],
    ["snoozing", "snooze"],
  ] as const) {
    test(`${state}: a lost lease in the answer abandons`, async () => {
      const walk = await at(state);
      await walk.answer(name, { held: false });
      expect(walk.state).toBe("abandoning");
    });
  }
});

test("all goes well: each stage once, in order, with what the ones before found", async () => {
  const walk = await Walk.to("publishing");
  expect(walk.started).toEqual(PATH.map(([name]) => name));
  expect(walk.gate("publish").context).toMatchObject({
    encode: { wallMs: 1 },
    manifest: GOOD.upload ? MANIFEST : null,
  });
  await walk.answer("publish");
  expect(walk.snapshot.output).toMatchObject({ outcome: "completed", error: null });
});
