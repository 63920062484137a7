import { bitrate, bytes, duration, integer, resolution } from "../kinds.ts";
import { setting } from "../setting.ts";

export const limitsSettings = {
  MAX_INPUT_SIZE: setting(bytes("1KB"), { default: "10GB", meaning: "bytes of one input" }),
  MAX_DURATION: setting(duration("1s", "1000h"), { default: "24h", meaning: "of any input and output" }),
  MAX_OPERATIONS: setting(integer({ min: 1, max: 1_000 }), { default: "50", meaning: "operations of one job" }),
  MAX_RESOLUTION: setting(resolution, {
    default: "7680x4320",
    meaning: "in either orientation, of any input and output",
  }),
  MAX_BITRATE: setting(bitrate, { default: "100Mbps", meaning: "of any input and output" }),
  MAX_OUTPUTS: setting(integer({ min: 1, max: 1_000 }), { default: "40", meaning: "outputs of one job" }),
  MAX_STREAMS: setting(integer({ min: 1, max: 1_000 }), { default: "64", meaning: "streams of one input" }),
  // Timers hold at most 24.8 days.
  JOB_TIMEOUT: setting(duration("1s", "20d"), { default: "24h", meaning: "one whole attempt" }),
  STALL_TIMEOUT: setting(duration("100ms", "24h"), {
    default: "120s",
    meaning: "FFmpeg without progress; time in which a busy machine gives it no processor is not counted",
  }),
};
