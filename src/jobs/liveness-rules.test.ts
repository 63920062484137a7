import { describe, expect, test } from "bun:test";
import { isCutOff, reconcileHeld } from "./liveness-rules.ts";
import type { JobId } from "./types.ts";

const lease = (name: string, leaseToken: number) => ({ jobId: name as JobId, leaseToken });

describe("a worker that is cut off", () => {
  test("stops one tick before others may take its jobs", () => {
    expect([0, 1, 2, 3].map((tick) => isCutOff(10 + tick, 10, 3))).toEqual([false, false, true, true]);
  });
});

describe("what the rows say against what runs", () => {
  const [kept, lost, unknown] = [lease("kept", 1), lease("lost", 1), lease("unknown", 4)];

  test("gives back what it does not run and kills what it no longer holds", () => {
    expect(reconcileHeld([kept, unknown], [kept, lost], false)).toEqual({ giveBack: [unknown], kill: [lost] });
  });

  test("gives nothing back while a claim is under way", () => {
    expect(reconcileHeld([kept, unknown], [kept, lost], true)).toEqual({ giveBack: [], kill: [lost] });
  });

  test("tells two leases of one job apart", () => {
    const [old, current] = [lease("job", 1), lease("job", 2)];
    expect(reconcileHeld([current], [old], false)).toEqual({ giveBack: [current], kill: [old] });
  });
});
