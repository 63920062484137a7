import { describe, expect, test } from "bun:test";
import { makeProcessors } from "./processors.ts";

describe("processors", () => {
  test("a job that is alone gets all, and those that run together share them", async () => {
    const processors = makeProcessors(8, "auto");
    const first = processors.enter("normal");
    expect(await processors.threadsFor("normal")).toBe(8);
    const others = [1, 2].map(() => processors.enter("normal"));
    expect(await processors.threadsFor("normal")).toBe(2);
    for (const other of others) other.release();
    expect(await processors.threadsFor("normal")).toBe(8);
    first.release();
  });

  test("what is less urgent takes no thread from what is more urgent", async () => {
    const processors = makeProcessors(4, "auto");
    for (const priority of ["low", "low", "normal", "high"] as const) processors.enter(priority);
    expect(await Promise.all((["high", "normal", "low"] as const).map(processors.threadsFor))).toEqual([4, 2, 1]);
  });

  test("of jobs that come together the first waits for the claims of the others, as long as they may take a share", async () => {
    const processors = makeProcessors(4, "auto");
    processors.enter("normal");
    const claims = [1, 2, 3].map(() => processors.expect());
    const first = processors.threadsFor("normal");
    for (const claim of claims.slice(0, 2)) {
      processors.enter("normal");
      claim.release();
    }
    // Three run: no other takes more from a share of one, and the third is waited for by nobody.
    expect(await first).toBe(1);
  });

  test("a claim that takes long is not waited for", async () => {
    const processors = makeProcessors(4, "auto");
    processors.enter("normal");
    processors.expect();
    const startedAt = performance.now();
    expect(await processors.threadsFor("normal")).toBe(4);
    expect(performance.now() - startedAt).toBeGreaterThan(40);
  });

  test("more jobs than processors get one each, and a number that was set holds whatever runs", async () => {
    const [shared, fixed] = [makeProcessors(2, "auto"), makeProcessors(2, 3)];
    for (let n = 0; n < 5; n += 1) {
      shared.enter("low");
      fixed.enter("low");
    }
    expect([await shared.threadsFor("low"), await fixed.threadsFor("low")]).toEqual([1, 3]);
  });
});
