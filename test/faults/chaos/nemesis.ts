/** The order in which a seed lets the faults happen. */

import { last } from "./fault.ts";
import { FAULTS } from "./faults.ts";
import { makeRandom } from "./random.ts";
import type { World } from "./world.ts";

export interface Fired {
  readonly fault: string;
  readonly atMs: number;
}

/** Each kind once in an order of the seed's, then as they come, until `enough` says so. Never two at a time. */
export async function rage(world: World, seed: number, enough: () => boolean, pauseMs: number): Promise<Fired[]> {
  const random = makeRandom(seed);
  const due = Object.keys(FAULTS);
  const fired: Fired[] = [];
  while (due.length > 0 || !enough()) {
    const fault = due.length > 0 ? (due.splice(random.int(due.length), 1)[0] ?? "") : random.pick(Object.keys(FAULTS));
    fired.push({ fault, atMs: performance.now() });
    await FAULTS[fault]?.(world, random);
    await last(random.int(pauseMs));
  }
  return fired;
}
