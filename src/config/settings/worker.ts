import { JOB_TYPES, PRIORITIES } from "../../jobs/types.ts";
import { SANDBOX_MODES } from "../config.ts";
import { autoOr, bool, bytesOrPercent, integer, oneOf, path, someOf } from "../kinds.ts";
import { optional, setting } from "../setting.ts";

const FOUND = { without: "found on PATH" };

export const workerSettings = {
  WORKER_CONCURRENCY: setting(autoOr(integer({ min: 1, max: 256 })), {
    default: "auto",
    meaning: "jobs at the same time; auto: from the CPU count",
  }),
  FFMPEG_THREADS: setting(autoOr(integer({ min: 1, max: 256 })), {
    default: "auto",
    meaning: "threads of one job; auto: shared out by what else runs",
  }),
  MEMORY_LIMIT: setting(bytesOrPercent("64MiB", "the machine's memory"), {
    default: "80%",
    meaning: "all FFmpeg processes of a worker together, shared out by plan",
  }),
  TEMP_STORAGE: optional(path, { without: "`DATA_DIR/tmp`", meaning: "the folder of work folders" }),
  TEMP_LIMIT: setting(bytesOrPercent("1MiB", "the disk"), {
    default: "90%",
    meaning: "what TEMP_STORAGE may hold",
  }),
  WORKER_JOB_TYPES: setting(someOf(JOB_TYPES), { default: "all", meaning: "types of jobs that this worker runs" }),
  WORKER_PRIORITIES: setting(someOf(PRIORITIES), {
    default: "all",
    meaning: "priorities of jobs that this worker runs",
  }),
  SANDBOX: optional(oneOf(SANDBOX_MODES), {
    without: "required in production, else auto",
    meaning: "required: refuses to start without a sandbox; auto: says so loudly; off",
  }),
  FFMPEG_PATH: optional(path, { ...FOUND, meaning: "the FFmpeg program" }),
  FFPROBE_PATH: optional(path, { ...FOUND, meaning: "the ffprobe program" }),
  VMAF_FFMPEG_PATH: optional(path, { without: "FFMPEG_PATH", meaning: "an FFmpeg with libvmaf" }),
  PACKAGER_PATH: optional(path, { ...FOUND, meaning: "the Shaka Packager program" }),
  ALLOW_RAW_OPTIONS: setting(bool, { default: "false", meaning: "allows the `raw` operation" }),
};
