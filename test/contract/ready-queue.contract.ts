/** What every adapter of the ready queue does (src/coordination/ports.ts says why). */
import { afterEach, describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { PriorityClass, ReadyHint, ReadyQueue } from "../../src/coordination/ports.ts";
import { within } from "../support/until.ts";
import { type MakeSubject, subjects } from "./coordination-subject.ts";

const ALL: readonly PriorityClass[] = ["high", "normal", "low"];
const never = new AbortController().signal;

const hint = (jobId: string, rank = 0, priority: PriorityClass = "normal"): ReadyHint => ({ jobId, rank, priority });

/** Takes what is there, in order. The queue must not be empty of `count` hints. */
async function takeIds(queue: ReadyQueue, count: number, classes = ALL): Promise<string[]> {
  const ids: string[] = [];
  for (let taken = 0; taken < count; taken++) {
    ids.push((await within(queue.take(classes, never), 5_000, "a hint"))?.jobId ?? "none");
  }
  return ids;
}

export function readyQueueContract(name: string, make: MakeSubject<ReadyQueue>): void {
  const { open, closeAll } = subjects(make);

  describe(`ReadyQueue port: ${name}`, () => {
    afterEach(closeAll);

    describe("order", () => {
      test("is class, rank, id, whatever the order of adding", async () => {
        const { port } = await open();
        const jobs = fc.uniqueArray(
          fc.record({
            jobId: fc.uuid(),
            rank: fc.oneof(fc.integer({ min: 0, max: 3 }), fc.double({ min: 0, max: 1e9, noNaN: true })),
            priority: fc.constantFrom(...ALL),
          }),
          { selector: (job) => job.jobId, maxLength: 40 },
        );
        const property = fc.asyncProperty(jobs, async (hints) => {
          await port.add(hints);
          const sorted = hints.toSorted(
            (a, b) =>
              ALL.indexOf(a.priority) - ALL.indexOf(b.priority) || a.rank - b.rank || (a.jobId < b.jobId ? -1 : 1),
          );
          expect(await takeIds(port, hints.length)).toEqual(sorted.map(({ jobId }) => jobId));
        });
        await fc.assert(property, { numRuns: 25 });
      });

      test("follows the classes as the taker lists them, and takes from no other", async () => {
        const { port } = await open();
        await port.add([hint("a", 1, "high"), hint("b", 2, "normal"), hint("c", 3, "low"), hint("d", 0, "low")]);
        expect(await takeIds(port, 3, ["low", "normal"])).toEqual(["d", "c", "b"]);
        expect(await port.depths()).toEqual({ high: 1, normal: 0, low: 0 });
      });

      test("gives back the hint as it was added", async () => {
        const { port } = await open();
        await port.add([hint("a", 1.5, "low")]);
        expect(await port.take(ALL, never)).toEqual(hint("a", 1.5, "low"));
      });
    });

    describe("adding", () => {
      test("nothing changes nothing", async () => {
        const { port } = await open();
        await port.add([]);
        expect(await port.depths()).toEqual({ high: 0, normal: 0, low: 0 });
      });

      test("the same hint again leaves one", async () => {
        const { port, peer } = await open();
        await port.add([hint("a"), hint("a")]);
        await peer.add([hint("a")]);
        expect(await port.depths()).toEqual({ high: 0, normal: 1, low: 0 });
      });

      test("again with another rank moves it", async () => {
        const { port } = await open();
        await port.add([hint("a", 1), hint("b", 2), hint("c", 3)]);
        await port.add([hint("a", 9), hint("c", 0)]);
        expect(await takeIds(port, 3)).toEqual(["c", "b", "a"]);
      });

      test("again with another class moves it", async () => {
        const { port } = await open();
        await port.add([hint("a", 1, "low"), hint("b", 1, "normal")]);
        await port.add([hint("a", 1, "high")]);
        expect(await port.depths()).toEqual({ high: 1, normal: 1, low: 0 });
        expect(await takeIds(port, 2)).toEqual(["a", "b"]);
      });

      test("one that was taken puts it back", async () => {
        const { port } = await open();
        await port.add([hint("a")]);
        expect(await takeIds(port, 1)).toEqual(["a"]);
        await port.add([hint("a")]);
        expect(await takeIds(port, 1)).toEqual(["a"]);
      });
    });

    describe("removing", () => {
      test("takes a hint out of any class, again without effect", async () => {
        const { port, peer } = await open();
        await port.add([hint("a", 1, "low"), hint("b", 1, "high")]);
        await peer.remove("a");
        await port.remove("a");
        await port.remove("unknown");
        expect(await port.depths()).toEqual({ high: 1, normal: 0, low: 0 });
        expect(await takeIds(port, 1)).toEqual(["b"]);
      });
    });

    waitingCases(open);
    abortCases(open);
  });
}

type Open = () => Promise<{ port: ReadyQueue; peer: ReadyQueue }>;

function waitingCases(open: Open): void {
  describe("waiting", () => {
    test("ends with a hint that comes later, from another replica too", async () => {
      const { port, peer } = await open();
      const taking = port.take(ALL, never);
      await peer.add([hint("a")]);
      expect((await within(taking, 5_000))?.jobId).toBe("a");
      expect(await port.depths()).toEqual({ high: 0, normal: 0, low: 0 });
    });

    test("goes on when the hint is of a class the taker does not serve", async () => {
      const { port } = await open();
      const taking = port.take(["high"], never);
      await port.add([hint("a", 0, "low")]);
      await port.add([hint("b", 5, "high")]);
      expect((await within(taking, 5_000))?.jobId).toBe("b");
      expect(await port.depths()).toEqual({ high: 0, normal: 0, low: 1 });
    });

    test("gives each hint to one taker", async () => {
      const { port, peer } = await open();
      const takers = Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? port : peer).take(ALL, never));
      const ids = Array.from({ length: 20 }, (_, index) => `job-${String(index).padStart(2, "0")}`);
      await port.add(ids.slice(0, 10).map((id) => hint(id)));
      await Promise.all(ids.slice(10).map((id) => peer.add([hint(id)])));
      const taken = await within(Promise.all(takers), 10_000);
      expect(taken.map((found) => found?.jobId ?? "none").toSorted()).toEqual(ids);
    });

    test("for anything to be added ends then, in every replica, and takes nothing", async () => {
      const { port, peer } = await open();
      const waits = [port.added(never), peer.added(never)];
      await port.add([hint("a")]);
      await within(Promise.all(waits), 5_000);
      expect((await port.depths()).normal).toBe(1);
      await within(port.added(AbortSignal.abort()), 5_000);
    });

    test("ends with null when the queue is closed", async () => {
      const { port } = await open();
      const taking = port.take(ALL, never);
      await port.close();
      expect(await within(taking, 5_000)).toBeNull();
    });
  });
}

function abortCases(open: Open): void {
  describe("aborting", () => {
    test("before the call takes nothing", async () => {
      const { port } = await open();
      await port.add([hint("a")]);
      expect(await within(port.take(ALL, AbortSignal.abort()), 5_000)).toBeNull();
      expect(await port.depths()).toEqual({ high: 0, normal: 1, low: 0 });
    });

    test("ends the wait with null and leaves later hints to others", async () => {
      const { port, peer } = await open();
      const controller = new AbortController();
      const taking = port.take(ALL, controller.signal);
      controller.abort();
      expect(await within(taking, 5_000)).toBeNull();
      await port.add([hint("a")]);
      expect(await takeIds(peer, 1)).toEqual(["a"]);
    });

    test("while a hint arrives never loses it: it was taken or it is still there", async () => {
      const { port, peer } = await open();
      for (let round = 0; round < 40; round++) {
        const controller = new AbortController();
        const taking = port.take(ALL, controller.signal);
        const id = `job-${round}`;
        if (round % 4 === 0) controller.abort();
        const adding = (round % 2 === 0 ? port : peer).add([hint(id)]);
        if (round % 4 === 1) controller.abort();
        await adding;
        controller.abort();
        const taken = await within(taking, 5_000);
        if (taken === null) expect(await takeIds(port, 1)).toEqual([id]);
        else expect(taken.jobId).toBe(id);
        expect(await port.depths()).toEqual({ high: 0, normal: 0, low: 0 });
      }
    });
  });
}
