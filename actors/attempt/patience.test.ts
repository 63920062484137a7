import { expect, test } from "bun:test";
import { databaseTimeout, databaseUnavailable } from "../../src/database/errors.ts";
import { MANIFEST } from "./attempt.fixture.ts";
import { withPatience } from "./patience.ts";
import type { Recorder } from "./recorder.ts";
import { makeTerminalRecorder } from "./terminal-recorder.ts";

const never = new AbortController().signal;

function recorderThat(answers: (() => Promise<boolean>)[]): { recorder: Recorder; calls: () => number } {
  let calls = 0;
  const cancelled = async (): Promise<boolean> => {
    const answer = answers[Math.min(calls, answers.length - 1)];
    calls += 1;
    return answer === undefined ? true : answer();
  };
  return { recorder: { ...makeTerminalRecorder(() => {}), cancelled }, calls: () => calls };
}

const away = async (): Promise<boolean> => {
  throw databaseUnavailable(new Error("away"));
};
const late = async (): Promise<boolean> => {
  throw databaseTimeout(new Error("late"));
};

test("a database that is away for a while is waited out", async () => {
  const { recorder, calls } = recorderThat([away, late, async () => true]);
  expect(await withPatience(recorder, never).cancelled()).toBe(true);
  expect(calls()).toBe(3);
});

test("who is told to stop waits no longer", async () => {
  const { recorder, calls } = recorderThat([away]);
  const stopping = new AbortController();
  const waiting = withPatience(recorder, stopping.signal).cancelled();
  stopping.abort();
  await expect(waiting).rejects.toThrow();
  expect(calls()).toBeLessThanOrEqual(1);
  await expect(withPatience(recorder, stopping.signal).cancelled()).rejects.toMatchObject({
    kind: "database.unavailable",
  });
});

test("an answer that will not change is not asked for again", async () => {
  const { recorder, calls } = recorderThat([
    async () => {
      throw new Error("a bug");
    },
  ]);
  await expect(withPatience(recorder, never).cancelled()).rejects.toThrow("a bug");
  expect(calls()).toBe(1);
});

test("every method that may be repeated is, and progress is passed on at once", async () => {
  let failing = true;
  const reports: unknown[] = [];
  const base = makeTerminalRecorder((report) => reports.push(report));
  const flaky = new Proxy(base, {
    get(target, name) {
      const method = target[name as keyof Recorder] as (...args: unknown[]) => unknown;
      if (name === "progress") return method;
      return async (...args: unknown[]) => {
        failing = !failing;
        if (!failing) throw databaseUnavailable(new Error("away"));
        return method(...args);
      };
    },
  });
  const patient = withPatience(flaky, never);
  expect(await patient.stage("encoding")).toBe(true);
  expect(await patient.staged([])).toBe(true);
  expect(await patient.fence(MANIFEST)).toEqual({ outcome: "fenced" });
  expect(await patient.complete(MANIFEST, [])).toBe(true);
  expect(await patient.publishOverdue()).toBe(true);
  expect(await patient.ownStaging()).toEqual([]);
  expect(await patient.snoozed()).toBe(true);
  patient.progress({ stage: "encoding", progress: 1, fps: null, speed: null, etaSeconds: null });
  expect(reports).toContainEqual(expect.objectContaining({ type: "progress", progress: 1 }));
});
