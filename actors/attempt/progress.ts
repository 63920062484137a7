/** A job's progress as one number, from a stage and how far that stage is. Encoding is nearly all of the work. */
import type { Stage } from "../../src/jobs/types.ts";

const RANGES: Readonly<Record<Stage, readonly [number, number]>> = {
  downloading: [0, 3],
  probing: [3, 4],
  planning: [4, 5],
  encoding: [5, 93],
  verifying: [93, 96],
  uploading: [96, 99],
  publishing: [99, 100],
};

/** `percent`: 0–100 of the stage. One decimal, as clients see it. */
export function overall(stage: Stage, percent: number): number {
  const [from, to] = RANGES[stage];
  const share = Math.min(100, Math.max(0, percent)) / 100;
  return Math.round((from + (to - from) * share) * 10) / 10;
}
