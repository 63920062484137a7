/** A caption file from its bytes: in which characters it is written is found out, and FFmpeg never opens it. */
import chardet from "chardet";
import { RendiffError } from "../errors.ts";
import type { Captions } from "../media/captions/cues.ts";
import { parseCaptions } from "../media/captions/parse.ts";
import type { MediaInfo } from "../media/types.ts";

const BYTES_MAX = 20_000_000;
/** Enough to tell languages apart. */
const SAMPLE_BYTES = 200_000;

function decodeAs(name: string, bytes: Uint8Array, fatal: boolean): string | null {
  try {
    return new TextDecoder(name as "utf-8", { fatal }).decode(bytes);
  } catch {
    return null;
  }
}

/** UTF-16 without a mark: every other byte of Latin text and digits is zero. */
function wideOf(bytes: Uint8Array): string | null {
  const zeros = [0, 0];
  const length = Math.min(bytes.length, 4_096);
  for (let n = 0; n < length; n += 1) if (bytes[n] === 0) zeros[n % 2] = (zeros[n % 2] ?? 0) + 1;
  const [even = 0, odd = 0] = zeros;
  if (even + odd < length / 4) return null;
  return even > odd ? "utf-16be" : "utf-16le";
}

/** Text without a byte order mark. UTF-8 is what it is taken for whenever it can be. */
export function decodeText(bytes: Uint8Array): string {
  const marked = bytes[0] === 0xff && bytes[1] === 0xfe ? "utf-16le" : bytes[0] === 0xfe && bytes[1] === 0xff;
  const wide = typeof marked === "string" ? marked : marked ? "utf-16be" : wideOf(bytes);
  const text = wide === null ? decodeAs("utf-8", bytes, true) : decodeAs(wide, bytes, false);
  if (text !== null) return text.replace(/^\uFEFF/, "");
  const guess = chardet.detect(bytes.subarray(0, SAMPLE_BYTES)) ?? "windows-1252";
  return decodeAs(guess, bytes, false) ?? decodeAs("windows-1252", bytes, false) ?? "";
}

/** They are read into memory whole. Throws `input.too_large`; asked before any of it is fetched. */
export function requireCaptionSize(sizeBytes: number): void {
  if (sizeBytes <= BYTES_MAX) return;
  throw new RendiffError({
    kind: "input.too_large",
    publicMessage: `The subtitle file has ${sizeBytes} bytes; at most ${BYTES_MAX} are allowed.`,
  });
}

/** `path` is where the bytes lie. Throws `input.too_large` or `input.unreadable`. */
export async function readCaptions(path: string): Promise<Captions> {
  const file = Bun.file(path);
  requireCaptionSize(file.size);
  const captions = parseCaptions(decodeText(new Uint8Array(await file.arrayBuffer())));
  if (captions !== null) return captions;
  throw new RendiffError({
    kind: "input.unreadable",
    publicMessage: "The subtitle file holds no lines that can be shown; srt, vtt and ass files can be read.",
  });
}

const CODECS = { srt: "subrip", vtt: "webvtt", ass: "ass" } as const;
const DEMUXERS = { srt: "srt", vtt: "webvtt", ass: "ass" } as const;

/** What a probe would say of it. */
export function toMediaInfo({ format, cues }: Captions, sizeBytes: number): MediaInfo {
  const end = cues.reduce((last, { endSeconds }) => Math.max(last, endSeconds), 0);
  return {
    ...{ demuxers: [DEMUXERS[format]], container: format, sizeBytes, durationSeconds: end, startSeconds: 0 },
    ...{ bitrate: null, tags: {}, chapters: 0, warnings: [] },
    streams: [
      {
        ...{ kind: "subtitle", index: 0, codec: CODECS[format], profile: null, bitrate: null, durationSeconds: end },
        ...{ startSeconds: 0, language: null, title: null, isDefault: false, textBased: true },
      },
    ],
  };
}

export async function probeCaptions(path: string): Promise<MediaInfo> {
  return toMediaInfo(await readCaptions(path), Bun.file(path).size);
}
