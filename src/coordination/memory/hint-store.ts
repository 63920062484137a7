import type { PriorityClass, ReadyHint } from "../ports.ts";
import { Heap } from "./heap.ts";

const CLASSES: readonly PriorityClass[] = ["high", "normal", "low"];

const before = (a: ReadyHint, b: ReadyHint): boolean => a.rank < b.rank || (a.rank === b.rank && a.jobId < b.jobId);

/**
 * Hints in order, one for each job: a heap per class. Moved and removed hints stay in their heap as stale entries and are
 * skipped; heaps with more stale than live entries are rebuilt, so memory follows the live ones.
 */
export class HintStore {
  /** The live hints; an entry of a heap counts only if it is the very object kept here. */
  readonly #live = new Map<string, ReadyHint>();
  readonly #heaps: Readonly<Record<PriorityClass, Heap<ReadyHint>>> = {
    high: new Heap(before),
    normal: new Heap(before),
    low: new Heap(before),
  };

  get size(): number {
    return this.#live.size;
  }

  /** Live and stale together: what is kept in memory. */
  get entries(): number {
    return CLASSES.reduce((sum, name) => sum + this.#heaps[name].size, 0);
  }

  put(hint: ReadyHint): void {
    const known = this.#live.get(hint.jobId);
    if (known !== undefined && known.priority === hint.priority && known.rank === hint.rank) return;
    // A copy: what the caller does with its own object later must not disturb the order.
    const kept: ReadyHint = { jobId: hint.jobId, priority: hint.priority, rank: hint.rank };
    this.#live.set(hint.jobId, kept);
    this.#heaps[hint.priority].push(kept);
    this.#compact();
  }

  /** Removes and returns the first hint of the first class that has one. */
  pop(classes: readonly PriorityClass[]): ReadyHint | null {
    for (const name of classes) {
      for (let hint = this.#heaps[name].pop(); hint !== null; hint = this.#heaps[name].pop()) {
        if (!this.#isLive(hint)) continue;
        this.#live.delete(hint.jobId);
        return hint;
      }
    }
    return null;
  }

  remove(jobId: string): void {
    this.#live.delete(jobId);
    this.#compact();
  }

  clear(): void {
    this.#live.clear();
    this.#compact();
  }

  depths(): Record<PriorityClass, number> {
    const depths: Record<PriorityClass, number> = { high: 0, normal: 0, low: 0 };
    for (const hint of this.#live.values()) depths[hint.priority]++;
    return depths;
  }

  readonly #isLive = (hint: ReadyHint): boolean => this.#live.get(hint.jobId) === hint;

  #compact(): void {
    if (this.entries <= 2 * this.#live.size + 64) return;
    for (const name of CLASSES) this.#heaps[name].keep(this.#isLive);
  }
}
