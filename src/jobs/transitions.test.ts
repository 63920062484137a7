import { describe, expect, test } from "bun:test";
import { type Command, isFinal, isValid, type RowState, transition } from "./transitions.ts";
import { JOB_STATUSES } from "./types.ts";

const TOKEN = 3;
const HOLDER = "holder";

function* states(): Generator<RowState> {
  for (const status of JOB_STATUSES)
    for (const stage of [null, "downloading", "encoding", "publishing"] as const)
      for (const manifestToken of [null, 2, TOKEN])
        for (const cancelRequested of [false, true])
          for (const failureCount of [0, 1])
            for (const crashCount of [0, 1])
              for (const due of [false, true])
                for (const publishOverdue of [false, true]) {
                  const workerId = status === "processing" ? HOLDER : null;
                  const counts = { leaseToken: TOKEN, attempt: 3, failureCount, crashCount };
                  yield { status, stage, manifestToken, cancelRequested, workerId, due, publishOverdue, ...counts };
                }
}

const valid = [...states()].filter(isValid);
const lease = { leaseToken: TOKEN, workerId: HOLDER };
const commands: readonly Command[] = [
  { type: "claim", workerId: "claimer" },
  { type: "stage", lease, stage: "encoding" },
  { type: "fence", lease, keyIsBusy: false },
  { type: "fence", lease, keyIsBusy: true },
  { type: "complete", lease, allSeen: true },
  { type: "complete", lease, allSeen: false },
  { type: "fail", lease, retry: true, maxAttempts: 2 },
  { type: "fail", lease, retry: false, maxAttempts: 2 },
  { type: "fail_publishing", lease },
  { type: "confirm_cancelled", lease },
  { type: "snooze", lease },
  { type: "give_back", lease },
  { type: "cancel" },
  { type: "reap", workerIsDead: true, poisonAfter: 2 },
];

function everyStep(check: (row: RowState, command: Command) => void): void {
  for (const row of valid) for (const command of commands) check(row, command);
}

describe("the transition table", () => {
  test("leads from valid rows to valid rows", () => {
    everyStep((row, command) => {
      const next = transition(row, command).row;
      expect({ row, command, next, valid: isValid(next) }).toEqual({ row, command, next, valid: true });
    });
  });

  test("leaves the row alone exactly when it writes no event", () => {
    everyStep((row, command) => {
      const done = transition(row, command);
      if (done.event === null) expect(done.row).toBe(row);
      else expect(done.row === row).toBe(false);
    });
  });

  test("never changes a final row", () => {
    everyStep((row, command) => {
      if (isFinal(row.status)) expect(transition(row, command).row).toBe(row);
    });
  });

  test("moves tokens and attempts with claims alone, and only up", () => {
    everyStep((row, command) => {
      const next = transition(row, command).row;
      const claimed = command.type === "claim" && next !== row ? 1 : 0;
      expect([next.leaseToken, next.attempt]).toEqual([row.leaseToken + claimed, row.attempt + claimed]);
    });
  });

  test("takes nothing from an earlier token, another worker or a row that is not processing", () => {
    const strangers = [
      { leaseToken: TOKEN - 1, workerId: HOLDER },
      { leaseToken: TOKEN, workerId: "stranger" },
    ];
    everyStep((row, command) => {
      if (!("lease" in command)) return;
      for (const stranger of strangers) expect(transition(row, { ...command, lease: stranger }).row).toBe(row);
      if (row.status !== "processing") expect(transition(row, command).row).toBe(row);
    });
  });

  test("takes a manifest back only to complete, or to fail when it is overdue", () => {
    everyStep((row, command) => {
      const next = transition(row, command).row;
      if (row.manifestToken === null || next.manifestToken === row.manifestToken) return;
      expect(next.manifestToken).toBeNull();
      if (command.type === "complete") return;
      expect([command.type, row.publishOverdue]).toEqual(["fail_publishing", true]);
    });
  });

  test("has a way to an end from every row: no dead ends", () => {
    const reaches = (row: RowState, steps: number): boolean => {
      if (isFinal(row.status)) return true;
      if (steps === 0) return false;
      const due = { ...row, due: true };
      const held = { leaseToken: row.leaseToken, workerId: row.workerId ?? "" };
      return commands.some((command) => {
        // A cancel from outside does not count: a job ends without help.
        if (command.type === "cancel") return false;
        const next = transition(due, "lease" in command ? { ...command, lease: held } : command).row;
        return next !== due && reaches(next, steps - 1);
      });
    };
    for (const row of valid) expect({ row, ends: reaches(row, 4) }).toEqual({ row, ends: true });
  });
});
