/**
 * Reads SubRip, WebVTT and ASS. The format is found by content. What is kept of SubRip and WebVTT is text, times, bold,
 * italic and underline; everything else of them is dropped, so that what is drawn later is of our own writing.
 */
import { parseAss } from "./ass.ts";
import type { Captions, Cue, Span } from "./cues.ts";

const TIME = String.raw`(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})(?:[,.](\d{1,3}))?`;
const TIMING = new RegExp(String.raw`^\s*${TIME}\s*-->\s*${TIME}`);
/** `{\an8}` at the beginning of a line, which many SubRip files have. */
const ALIGNMENT = /^\{\\an([1-9])\}/;
const CUES_MAX = 50_000;

const seconds = (hours = "0", minutes = "0", whole = "0", fraction = "0"): number =>
  Number(hours) * 3_600 + Number(minutes) * 60 + Number(whole) + Number(fraction.padEnd(3, "0")) / 1_000;

const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", nbsp: "\u00a0", lrm: "", rlm: "" };
const decodeEntities = (text: string): string =>
  text.replace(/&(amp|lt|gt|nbsp|lrm|rlm);/g, (_, name) => ENTITIES[name] ?? "");

const TAG = /<(\/?)([a-z]+|\d[\d:.]*)(?:[\s.][^<>]*)?>/gi;
const SHAPES = { b: "bold", i: "italic", u: "underline" } as const;

/** Tags of shape become spans, other tags go, and what looks like no tag is text. */
export function toSpans(text: string, decode: (text: string) => string): Span[] {
  const spans: Span[] = [];
  const open = { bold: 0, italic: 0, underline: 0 };
  let from = 0;
  const push = (until: number): void => {
    const part = decode(text.slice(from, until));
    if (part === "") return;
    spans.push({ text: part, bold: open.bold > 0, italic: open.italic > 0, underline: open.underline > 0 });
  };
  for (const match of text.matchAll(TAG)) {
    push(match.index);
    from = match.index + match[0].length;
    const shape = SHAPES[(match[2] ?? "").toLowerCase() as keyof typeof SHAPES];
    if (shape !== undefined) open[shape] = Math.max(0, open[shape] + (match[1] === "/" ? -1 : 1));
  }
  push(text.length);
  return spans;
}

function cueOf(timing: RegExpExecArray, lines: readonly string[], decode: (text: string) => string): Cue | null {
  const times = timing.slice(1);
  const body = lines.join("\n").trim();
  const alignment = ALIGNMENT.exec(body);
  const spans = toSpans(body.replace(/^(\{\\an?\d+\})+/, ""), decode);
  const startSeconds = seconds(...times.slice(0, 4));
  const endSeconds = seconds(...times.slice(4, 8));
  if (spans.length === 0 || endSeconds <= startSeconds) return null;
  return { startSeconds, endSeconds, spans, alignment: alignment === null ? null : Number(alignment[1]) };
}

/** Both formats: a line of times, then text to the next empty line; numbers, names and other blocks are passed over. */
function parseCues(lines: readonly string[], decode: (text: string) => string): Cue[] {
  const cues: Cue[] = [];
  for (let n = 0; n < lines.length && cues.length < CUES_MAX; n += 1) {
    const timing = TIMING.exec(lines[n] ?? "");
    if (timing === null) continue;
    const body: string[] = [];
    while (n + 1 < lines.length && (lines[n + 1] ?? "").trim() !== "" && !TIMING.test(lines[n + 1] ?? "")) {
      n += 1;
      body.push(lines[n] ?? "");
    }
    const cue = cueOf(timing, body, decode);
    if (cue !== null) cues.push(cue);
  }
  return cues;
}

/** Null when it is none of the formats, or holds nothing to show. `text` has no byte order mark. */
export function parseCaptions(text: string): Captions | null {
  const clean = text.replaceAll("\0", "").replace(/\r\n?/g, "\n");
  const lines = clean.split("\n");
  if (/^\s*\[Script Info\]/i.test(clean) || /^\[V4\+? Styles\]/im.test(clean)) {
    const parsed = parseAss(lines);
    return parsed === null ? null : { format: "ass", ...parsed };
  }
  const isVtt = /^WEBVTT(?:[ \t\n]|$)/.test(clean);
  const cues = parseCues(lines, isVtt ? decodeEntities : (part) => part);
  return cues.length === 0 ? null : { format: isVtt ? "vtt" : "srt", cues, script: null };
}
