/**
 * The ready queue in one process: a binary heap per class and the waiting takers in the order they came.
 *
 * A hint goes to a taker only while nothing else of the program runs in between, so an abort finds it either still in the
 * queue or already given: none is lost between the two. Moved and removed hints stay in their heap as stale entries and
 * are skipped; a heap with more stale than live entries is rebuilt, so memory follows the live ones.
 */
import { RendiffError } from "../../errors.ts";
import type { PriorityClass, ReadyHint, ReadyQueue } from "../ports.ts";
import { Heap } from "./heap.ts";

const CLASSES: readonly PriorityClass[] = ["high", "normal", "low"];

const before = (a: ReadyHint, b: ReadyHint): boolean => a.rank < b.rank || (a.rank === b.rank && a.jobId < b.jobId);

interface Taker {
  readonly classes: readonly PriorityClass[];
  give(hint: ReadyHint | null): void;
}

export function makeMemoryReadyQueue(): ReadyQueue {
  /** The live hints; an entry of a heap counts only if it is the very object kept here. */
  const live = new Map<string, ReadyHint>();
  const heaps: Record<PriorityClass, Heap<ReadyHint>> = {
    high: new Heap(before),
    normal: new Heap(before),
    low: new Heap(before),
  };
  const takers = new Set<Taker>();
  let closed = false;

  const isLive = (hint: ReadyHint): boolean => live.get(hint.jobId) === hint;

  /** The first live hint of a class, left in place. */
  const peek = (name: PriorityClass): ReadyHint | null => {
    const heap = heaps[name];
    for (let hint = heap.peek(); hint !== null; hint = heap.peek()) {
      if (isLive(hint)) return hint;
      heap.pop();
    }
    return null;
  };

  const pop = (classes: readonly PriorityClass[]): ReadyHint | null => {
    for (const name of classes) {
      const hint = peek(name);
      if (hint === null) continue;
      heaps[name].pop();
      live.delete(hint.jobId);
      return hint;
    }
    return null;
  };

  const serve = (): void => {
    for (const taker of takers) {
      if (live.size === 0) return;
      const hint = pop(taker.classes);
      if (hint !== null) taker.give(hint);
    }
  };

  const put = (hint: ReadyHint): void => {
    const known = live.get(hint.jobId);
    if (known !== undefined && known.priority === hint.priority && known.rank === hint.rank) return;
    // A copy: what the caller does with its own object later must not disturb the order.
    const kept: ReadyHint = { jobId: hint.jobId, priority: hint.priority, rank: hint.rank };
    live.set(hint.jobId, kept);
    heaps[hint.priority].push(kept);
  };

  const compact = (): void => {
    const entries = CLASSES.reduce((sum, name) => sum + heaps[name].size, 0);
    if (entries <= 2 * live.size + 64) return;
    for (const name of CLASSES) heaps[name].keep(isLive);
  };

  const requireOpen = (): void => {
    if (closed) throw new RendiffError({ kind: "service.unavailable", publicMessage: "The service is stopping." });
  };

  return {
    async add(hints) {
      requireOpen();
      for (const hint of hints) put(hint);
      compact();
      serve();
    },
    async take(classes, signal) {
      if (signal.aborted || closed) return null;
      const hint = pop(classes);
      return hint ?? waitForHint(takers, classes, signal);
    },
    async remove(jobId) {
      live.delete(jobId);
      compact();
    },
    async depths() {
      const depths: Record<PriorityClass, number> = { high: 0, normal: 0, low: 0 };
      for (const hint of live.values()) depths[hint.priority]++;
      return depths;
    },
    async close() {
      closed = true;
      for (const taker of [...takers]) taker.give(null);
      live.clear();
      compact();
    },
  };
}

function waitForHint(
  takers: Set<Taker>,
  classes: readonly PriorityClass[],
  signal: AbortSignal,
): Promise<ReadyHint | null> {
  return new Promise((resolve) => {
    const taker: Taker = {
      classes,
      give(hint) {
        takers.delete(taker);
        signal.removeEventListener("abort", abort);
        resolve(hint);
      },
    };
    const abort = (): void => taker.give(null);
    signal.addEventListener("abort", abort);
    takers.add(taker);
  });
}
