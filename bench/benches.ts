/** Every bench, in the order of a whole run. */
import { jobBench } from "./job.ts";
import type { Bench } from "./lib/bench.ts";
import { submitBench } from "./submit.ts";

export const BENCHES: readonly Bench[] = [submitBench, jobBench];
