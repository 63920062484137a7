/** Our name for a container. FFmpeg's demuxers read whole families: what is in the file tells the members apart. */
import { type Json, tagOf } from "./media-info-fields.ts";
import type { MediaStream } from "./types.ts";

/** What WebM may hold (WebM Container Guidelines); anything else in the family is Matroska. */
const WEBM_CODECS = new Set(["vp8", "vp9", "av1", "vorbis", "opus", "webvtt"]);

const NAMES: Readonly<Record<string, string>> = {
  mpegts: "ts",
  mpeg: "mpg",
  asf: "wmv",
  jpeg_pipe: "jpg",
  gif_pipe: "gif",
  jpegxl_pipe: "jxl",
  jpegxl_anim: "jxl",
  j2k_pipe: "jp2",
  webp_anim: "webp",
  yuv4mpegpipe: "y4m",
};

const AVIF = /^(avif|avis)/;
const HEIC = /^(heic|heix|hevc|hevx|mif1|msf1)/;

export const isPictureBrand = (brand: string | null): boolean =>
  brand !== null && (AVIF.test(brand) || HEIC.test(brand));

/** ISO base media (mp4, QuickTime): the major brand, ISO/IEC 14496-12; files without one are old QuickTime. */
function ofBrand(brand: string | null): string {
  if (brand === null || brand.startsWith("qt")) return "mov";
  if (AVIF.test(brand)) return "avif";
  if (HEIC.test(brand)) return "heic";
  if (/^(M4A|M4B|M4P)/.test(brand)) return "m4a";
  if (/^(3gp|3ge|3gg|3g2)/.test(brand)) return "3gp";
  return "mp4";
}

function ofMatroska(streams: readonly MediaStream[]): string {
  const known = streams.filter((one) => one.kind !== "other");
  return known.length > 0 && streams.every((one) => WEBM_CODECS.has(one.codec)) ? "webm" : "mkv";
}

export function containerOf(demuxers: readonly string[], format: Json, streams: readonly MediaStream[]): string {
  const [first = "unknown"] = demuxers;
  if (demuxers.includes("mov")) return ofBrand(tagOf(format, "major_brand"));
  if (demuxers.includes("matroska")) return ofMatroska(streams);
  if (first === "image2") return streams[0]?.codec === "mjpeg" ? "jpg" : (streams[0]?.codec ?? "unknown");
  return NAMES[first] ?? first.replace(/_pipe$/, "");
}
