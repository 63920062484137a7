import { describe, expect, test } from "bun:test";
import { makeProcessors } from "./processors.ts";

describe("processors", () => {
  test("a job that is alone gets all, and those that run together share them", () => {
    const processors = makeProcessors(8, "auto");
    const first = processors.enter("normal");
    expect(processors.threadsFor("normal")).toBe(8);
    const others = [1, 2].map(() => processors.enter("normal"));
    expect(processors.threadsFor("normal")).toBe(2);
    for (const other of others) other.release();
    expect(processors.threadsFor("normal")).toBe(8);
    first.release();
  });

  test("what is less urgent takes no thread from what is more urgent", () => {
    const processors = makeProcessors(4, "auto");
    for (const priority of ["low", "low", "normal", "high"] as const) processors.enter(priority);
    expect([processors.threadsFor("high"), processors.threadsFor("normal"), processors.threadsFor("low")]).toEqual([
      4, 2, 1,
    ]);
  });

  test("more jobs than processors get one each, and a number that was set holds whatever runs", () => {
    const [shared, fixed] = [makeProcessors(2, "auto"), makeProcessors(2, 3)];
    for (let n = 0; n < 5; n += 1) {
      shared.enter("low");
      fixed.enter("low");
    }
    expect([shared.threadsFor("low"), fixed.threadsFor("low")]).toEqual([1, 3]);
  });
});
