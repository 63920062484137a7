/** A preset is tried on this when it is saved: a film as most are. A plan is made for it, and nothing is run. */
import type { MediaInfo } from "../types.ts";

const DURATION_SECONDS = 60;
const track = { bitrate: null, durationSeconds: DURATION_SECONDS, startSeconds: 0, language: null, title: null };

export const SAMPLE_MEDIA: MediaInfo = {
  demuxers: ["mov", "mp4", "m4a", "3gp", "3g2", "mj2"],
  container: "mp4",
  sizeBytes: 40_000_000,
  durationSeconds: DURATION_SECONDS,
  startSeconds: 0,
  bitrate: 5_300_000,
  tags: {},
  streams: [
    {
      ...{ ...track, index: 0, kind: "video", codec: "h264", profile: "High", isDefault: true, level: 40 },
      ...{ codedWidth: 1920, codedHeight: 1080, width: 1920, height: 1080, rotation: 0 },
      ...{ sampleAspect: { num: 1, den: 1 }, pixelFormat: "yuv420p", bitDepth: 8, hasAlpha: false },
      ...{ averageFps: 25, nominalFps: 25, isVariableFps: false, frameCount: null },
      ...{ colorSpace: "bt709", colorTransfer: "bt709", colorPrimaries: "bt709", colorRange: "tv" },
      ...{ hdr: "sdr", interlaced: false, attachedPicture: false, still: false },
    },
    {
      ...{ ...track, index: 1, kind: "audio", codec: "aac", profile: "LC", isDefault: true },
      ...{ sampleRate: 48_000, channels: 2, channelLayout: "stereo", sampleFormat: "fltp" },
    },
  ],
  chapters: 0,
  warnings: [],
};

/** Presets that name no container are for some: one that takes them is enough. */
export const SAMPLE_EXTENSIONS = ["mp4", "mkv", "mov", "webm", "mp3", "m4a", "gif", "png", "jpg", "wav"] as const;
