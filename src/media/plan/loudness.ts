/** EBU R128 in two passes: the first measures, the second moves the whole by one gain where its peaks allow it. */
import { type Filter, filter } from "../filtergraph.ts";
import { placeholder } from "../measured.ts";

/** LUFS, dBTP, LU. */
export interface LoudnessTarget {
  readonly lufs: number;
  readonly truePeak: number;
  readonly range: number;
}

const targetOptions = ({ lufs, truePeak, range }: LoudnessTarget) => ({ I: lufs, TP: truePeak, LRA: range });

export const measureLoudness = (target: LoudnessTarget): Filter =>
  filter("loudnorm", { ...targetOptions(target), print_format: "json" });

/** `name` is the measurement's. */
export const reachLoudness = (target: LoudnessTarget, name: string): Filter =>
  filter("loudnorm", {
    ...targetOptions(target),
    measured_I: placeholder(name, "input_i"),
    measured_TP: placeholder(name, "input_tp"),
    measured_LRA: placeholder(name, "input_lra"),
    measured_thresh: placeholder(name, "input_thresh"),
    offset: placeholder(name, "target_offset"),
    linear: "true",
    print_format: "json",
  });
