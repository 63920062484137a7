/**
 * Where the next claim begins: where the last one ended.
 *
 * A claimed job's entry stays in the index until no transaction is left that may still see it as queued. A backup or a
 * report that is open for a minute thus leaves thousands of them at the front of the queue, and each claim that begins
 * there reads them all. A claimer with a memory passes them by. Jobs may stand in front of where it begins (one that was
 * put back or is due again keeps its rank; a key has room again), so it looks from the front once a second, and whenever it
 * finds nothing: their turn is late by that much at most.
 */
import type { JobType } from "./types.ts";

/** What a worker may be picky about. */
export interface Route {
  readonly type: JobType;
  readonly unfit: readonly string[];
  /** As a number. */
  readonly priority: number;
}

/** The first (class, rank, id) that is looked at: of a class, or of a route through all classes. */
export interface Place {
  readonly class: number;
  readonly rank: number;
  readonly id: string;
}

export type RoutePlace = Place & Route;

const FRONT_EVERY_MS = 1_000;
/** Before every job: JSON has no infinity. */
const FIRST = { rank: -Number.MAX_VALUE, id: "00000000-0000-0000-0000-000000000000" } as const;
const CLASSES = [0, 1, 2] as const;

/** The front of each class. */
export const FRONT: readonly Place[] = CLASSES.map((number) => ({ class: number, ...FIRST }));

const nameOf = ({ type, unfit, priority }: Route): string => JSON.stringify([type, unfit, priority]);

/** One claimer's, of one worker: what it serves does not change. */
export class ClaimMemory {
  readonly #nowMs: () => number;
  readonly #classes = [...FRONT];
  #routes = new Map<string, RoutePlace>();
  #lookedAtFrontMs = Number.NEGATIVE_INFINITY;

  /** `nowMs`: a clock that never goes back. */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  get #isFresh(): boolean {
    return this.#nowMs() - this.#lookedAtFrontMs < FRONT_EVERY_MS;
  }

  /** Null: it is time to look from the front. */
  classes(): readonly Place[] | null {
    return this.#isFresh ? this.#classes : null;
  }

  /** Null: it is time to look from the front, also for routes that are new. */
  routes(): readonly RoutePlace[] | null {
    return this.#isFresh && this.#routes.size > 0 ? this.#routes.values().toArray() : null;
  }

  /** `routes`: all that jobs wait in, if it looked by routes. What is known of one that is still there stays known. */
  lookedAtFront(routes: readonly Route[]): void {
    this.#lookedAtFrontMs = this.#nowMs();
    this.#routes = new Map(
      routes.map((route) => {
        const name = nameOf(route);
        return [name, this.#routes.get(name) ?? { ...route, class: 0, ...FIRST }];
      }),
    );
  }

  /** The next look is one from the front. */
  foundNothing(): void {
    this.#lookedAtFrontMs = Number.NEGATIVE_INFINITY;
  }

  claimed(place: RoutePlace, routed: boolean): void {
    if (routed) this.#routes.set(nameOf(place), place);
    else this.#classes[place.class] = { class: place.class, rank: place.rank, id: place.id };
  }
}
