/** Writes captions for an output: as SubRip or WebVTT for a track, as ASS to be drawn. */
import { type AssFrame, type AssStyle, printAss, printScript } from "./ass.ts";
import { type Captions, type Cue, type Retiming, retimed, type Span } from "./cues.ts";

/** What becomes of a caption file; plain data, part of the plan. */
export type CaptionsTask =
  | { readonly to: "srt" | "vtt"; readonly retiming: Retiming }
  /** `script`: what a script that has styles of its own is to look like instead. */
  | { readonly to: "ass"; readonly retiming: Retiming; readonly frame: AssFrame; readonly script: Partial<AssStyle> };

export function printTime(seconds: number, mark: "," | "."): string {
  const milliseconds = Math.round(seconds * 1_000);
  const two = (value: number): string => String(Math.floor(value)).padStart(2, "0");
  const whole = Math.floor(milliseconds / 1_000);
  const rest = String(milliseconds % 1_000).padStart(3, "0");
  return `${two(whole / 3_600)}:${two((whole / 60) % 60)}:${two(whole % 60)}${mark}${rest}`;
}

const BREAKING = new Set([" ", "\t", "\n"]);

/** Not by a pattern, which would try each space of a long row anew. A space that does not break is text. */
function trimmed(text: string): string {
  let [start, end] = [0, text.length];
  while (start < end && BREAKING.has(text.charAt(start))) start += 1;
  while (end > start && BREAKING.has(text.charAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

/** An empty line would end the cue, and an arrow would begin another. */
const safe = (text: string): string => trimmed(text.replace(/\n{2,}/g, "\n").replaceAll("-->", "->"));

const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

function shaped(spans: readonly Span[], print: (text: string) => string): string {
  const printed = spans.map(({ text, bold, italic, underline }) => {
    const tags = [...(bold ? ["b"] : []), ...(italic ? ["i"] : []), ...(underline ? ["u"] : [])];
    const open = tags.map((tag) => `<${tag}>`);
    const close = tags.toReversed().map((tag) => `</${tag}>`);
    return [...open, print(text), ...close].join("");
  });
  // As a whole: what each run may hold, several may make together.
  return safe(printed.join(""));
}

/** A track without a line cannot be opened, so an empty one holds a space that nobody sees. */
const NOTHING: Cue = {
  ...{ startSeconds: 0, endSeconds: 0.001, alignment: null },
  spans: [{ text: "\u00a0", bold: false, italic: false, underline: false }],
};

export function printCaptions(captions: Captions, task: CaptionsTask): string {
  const { retiming } = task;
  if (task.to === "ass") {
    if (captions.script !== null) return printScript(captions.script, task.script, retiming);
    return printAss(captions.cues, task.frame, retiming);
  }
  const moved = captions.cues.flatMap((cue) => retimed(cue, retiming) ?? []);
  const cues = (moved.length === 0 ? [NOTHING] : moved).toSorted((a, b) => a.startSeconds - b.startSeconds);
  const vtt = task.to === "vtt";
  const mark = vtt ? "." : ",";
  const blocks = cues.map(({ startSeconds, endSeconds, spans }, n) => {
    const times = `${printTime(startSeconds, mark)} --> ${printTime(endSeconds, mark)}`;
    return `${vtt ? "" : `${n + 1}\n`}${times}\n${shaped(spans, vtt ? escaped : (text) => text)}\n`;
  });
  return `${vtt ? "WEBVTT\n\n" : ""}${blocks.join("\n")}`;
}
