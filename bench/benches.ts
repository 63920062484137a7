/** Every bench, in the order of a whole run. */
import { attackBench } from "./attack.ts";
import { bombsBench } from "./bombs.ts";
import { claimBench } from "./claim.ts";
import { controlBench } from "./control.ts";
import { dispatchBench } from "./dispatch.ts";
import { footprintBench } from "./footprint.ts";
import { jobBench } from "./job.ts";
import { ladderBench } from "./ladder.ts";
import type { Bench } from "./lib/bench.ts";
import { liveBench } from "./live.ts";
import { sandboxBench } from "./sandbox.ts";
import { submitBench } from "./submit.ts";
import { thumbnailsBench } from "./thumbnails.ts";
import { pinnedBench, threadsBench, urgentBench } from "./together.ts";
import { transferBench } from "./transfer.ts";
import { transferBothBench } from "./transfer-both.ts";
import { trimBench } from "./trim.ts";

export const BENCHES: readonly Bench[] = [
  jobBench,
  dispatchBench,
  sandboxBench,
  submitBench,
  liveBench,
  attackBench,
  claimBench,
  footprintBench,
  thumbnailsBench,
  ladderBench,
  trimBench,
  transferBench,
  transferBothBench,
  controlBench,
  urgentBench,
  threadsBench,
  pinnedBench,
  bombsBench,
];
