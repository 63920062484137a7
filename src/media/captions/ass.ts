/** Advanced SubStation Alpha: reads a script's text, and writes scripts that hold nothing but text and styles. */
import { type AssScript, type Cue, type Retiming, retimed, type Span } from "./cues.ts";

/** Of `[Script Info]`: what has a bearing on how text is drawn. */
const INFO = /^(ScriptType|PlayResX|PlayResY|WrapStyle|ScaledBorderAndShadow|YCbCr Matrix|Collisions|Kerning):/i;
const TIME = /^\s*(\d{1,3}):(\d{1,2}):(\d{1,2})(?:[.:](\d{1,3}))?\s*$/;
const EVENTS_MAX = 50_000;
const DEFAULT_FIELDS = "Layer,Start,End,Style,Name,MarginL,MarginR,MarginV,Effect,Text".split(",");

function toSeconds(text: string | undefined): number | null {
  const match = TIME.exec(text ?? "");
  if (match === null) return null;
  const [, hours, minutes, seconds, fraction = "0"] = match;
  return Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds) + Number(`0.${fraction}`);
}

export function printAssTime(seconds: number): string {
  const hundredths = Math.round(seconds * 100);
  const two = (value: number): string => String(Math.floor(value)).padStart(2, "0");
  const whole = Math.floor(hundredths / 100);
  return `${Math.floor(whole / 3_600)}:${two((whole / 60) % 60)}:${two(whole % 60)}.${two(hundredths % 100)}`;
}

/** Each block ends at the next brace that closes; a pattern would look for that again at every one that opens. */
function withoutCommands(text: string): string {
  let bare = "";
  for (let at = 0; ; ) {
    const opens = text.indexOf("{", at);
    const closes = opens === -1 ? -1 : text.indexOf("}", opens);
    if (closes === -1) return bare + text.slice(at);
    bare += text.slice(at, opens);
    at = closes + 1;
  }
}

/** The text of an event without its commands, for formats that have none. */
function plain(text: string): Span[] {
  const bare = withoutCommands(text)
    .replace(/\\N|\\n/g, "\n")
    .replace(/\\h/g, " ")
    .trim();
  return bare === "" ? [] : [{ text: bare, bold: false, italic: false, underline: false }];
}

function sectionsOf(lines: readonly string[]): ReadonlyMap<string, string[]> {
  const sections = new Map<string, string[]>();
  let current: string[] = [];
  for (const line of lines) {
    const title = /^\s*(\[[^\]]+\])\s*$/.exec(line)?.[1]?.toLowerCase();
    if (title === undefined) current.push(line.trim());
    else {
      current = sections.get(title) ?? [];
      sections.set(title, current);
    }
  }
  return sections;
}

function eventsOf(lines: readonly string[], fields: readonly string[]): AssScript["events"] {
  const [start, end] = [fields.indexOf("Start"), fields.indexOf("End")];
  return lines.slice(0, EVENTS_MAX).flatMap((line) => {
    const body = /^Dialogue:\s*(.*)$/i.exec(line)?.[1];
    if (body === undefined) return [];
    const parts = body.split(",");
    const values = [...parts.slice(0, fields.length - 1), parts.slice(fields.length - 1).join(",")];
    const startSeconds = toSeconds(values[start]);
    const endSeconds = toSeconds(values[end]);
    if (startSeconds === null || endSeconds === null || endSeconds <= startSeconds) return [];
    return [{ startSeconds, endSeconds, values }];
  });
}

export function parseAss(lines: readonly string[]): { script: AssScript; cues: Cue[] } | null {
  const sections = sectionsOf(lines);
  const title = sections.has("[v4+ styles]") ? "[V4+ Styles]" : "[V4 Styles]";
  const events = sections.get("[events]") ?? [];
  const format = events.find((line) => /^Format:/i.test(line));
  const fields = format === undefined ? DEFAULT_FIELDS : format.replace(/^Format:/i, "").split(",");
  const names = fields.map((name) => name.trim());
  const parsed = eventsOf(events, names);
  if (parsed.length === 0) return null;
  const styles = (sections.get(title.toLowerCase()) ?? []).filter((line) => /^(Format|Style):/i.test(line));
  return {
    script: {
      info: (sections.get("[script info]") ?? []).filter((line) => INFO.test(line)),
      styles: [title, ...styles],
      fields: names,
      events: parsed,
    },
    cues: parsed.flatMap(({ startSeconds, endSeconds, values }) => {
      const spans = plain(values.at(-1) ?? "");
      return spans.length === 0 ? [] : [{ startSeconds, endSeconds, spans, alignment: null }];
    }),
  };
}

/** How captions are drawn. Colours are `RRGGBB`, sizes are pixels of a picture of `width`x`height`. */
export interface AssStyle {
  readonly fontName: string;
  readonly fontSize: number;
  readonly color: string;
  readonly outlineColor: string;
  /** Null for an outline around the letters instead of a box behind them. */
  readonly boxColor: string | null;
  readonly bold: boolean;
  readonly italic: boolean;
  /** As on a numeric keypad. */
  readonly alignment: number;
  readonly margin: number;
}

const assColor = (rgb: string, alpha = "00"): string =>
  `&H${alpha}${rgb.slice(4, 6)}${rgb.slice(2, 4)}${rgb.slice(0, 2)}`.toUpperCase();

/** By the names of a style's fields; only what `given` holds. */
export function styleFields(given: Partial<AssStyle>): Readonly<Record<string, string>> {
  const fields: Record<string, string> = {};
  if (given.fontName !== undefined) fields.Fontname = given.fontName;
  if (given.fontSize !== undefined) fields.Fontsize = String(given.fontSize);
  if (given.color !== undefined) fields.PrimaryColour = assColor(given.color);
  if (given.outlineColor !== undefined) fields.OutlineColour = assColor(given.outlineColor);
  if (given.boxColor !== undefined && given.boxColor !== null) {
    fields.BorderStyle = "3";
    fields.OutlineColour = assColor(given.boxColor);
  }
  if (given.bold !== undefined) fields.Bold = given.bold ? "-1" : "0";
  if (given.italic !== undefined) fields.Italic = given.italic ? "-1" : "0";
  if (given.alignment !== undefined) fields.Alignment = String(given.alignment);
  if (given.margin !== undefined) for (const side of ["L", "R", "V"]) fields[`Margin${side}`] = String(given.margin);
  return fields;
}

const STYLE_DEFAULTS: Readonly<Record<string, string>> = {
  ...{ Name: "Default", Fontname: "sans", Fontsize: "20", PrimaryColour: "&H00FFFFFF", SecondaryColour: "&H00FFFFFF" },
  ...{ OutlineColour: "&H00000000", BackColour: "&H80000000", Bold: "0", Italic: "0", Underline: "0" },
  ...{ BorderStyle: "1", Outline: "5", Shadow: "0", Alignment: "2", MarginL: "10", MarginR: "10", MarginV: "10" },
  ...{ Encoding: "1" },
};

/** A backslash begins a command and a brace a block of them: both are made into letters. */
const literal = (text: string): string =>
  text.replaceAll("\\", "\\\u2060").replaceAll("{", "\\{").replaceAll("}", "\\}").replaceAll("\n", "\\N");

const printSpan = ({ text, bold, italic, underline }: Span): string => {
  const on = `${bold ? "\\b1" : ""}${italic ? "\\i1" : ""}${underline ? "\\u1" : ""}`;
  return on === "" ? literal(text) : `{${on}}${literal(text)}{${on.replaceAll("1", "0")}}`;
};

export interface AssFrame {
  readonly style: AssStyle;
  readonly width: number;
  readonly height: number;
}

export function printAss(cues: readonly Cue[], { style, width, height }: AssFrame, retiming: Retiming): string {
  const fields = { ...STYLE_DEFAULTS, ...styleFields(style) };
  const events = cues.flatMap((cue) => {
    const moved = retimed(cue, retiming);
    if (moved === null) return [];
    const place = moved.alignment === null ? "" : `{\\an${moved.alignment}}`;
    const times = `${printAssTime(moved.startSeconds)},${printAssTime(moved.endSeconds)}`;
    return [`Dialogue: 0,${times},Default,,0,0,0,,${place}${moved.spans.map(printSpan).join("")}`];
  });
  return [
    ...["[Script Info]", "ScriptType: v4.00+", `PlayResX: ${width}`, `PlayResY: ${height}`, "WrapStyle: 0"],
    ...["ScaledBorderAndShadow: yes", "", "[V4+ Styles]", `Format: ${Object.keys(fields).join(", ")}`],
    ...[`Style: ${Object.values(fields).join(",")}`, "", "[Events]", `Format: ${DEFAULT_FIELDS.join(", ")}`],
    ...[...events, ""],
  ].join("\n");
}

/** The script's own styles, with what `style` says in place of theirs. */
function restyled(styles: readonly string[], style: Readonly<Record<string, string>>): readonly string[] {
  const format = styles.find((line) => /^Format:/i.test(line)) ?? "";
  const names = format
    .replace(/^Format:/i, "")
    .split(",")
    .map((name) => name.trim());
  return styles.map((line) => {
    const body = /^Style:\s*(.*)$/i.exec(line)?.[1];
    if (body === undefined) return line;
    const values = body.split(",");
    return `Style: ${values.map((value, n) => style[names[n] ?? ""] ?? value).join(",")}`;
  });
}

export function printScript(script: AssScript, style: Partial<AssStyle>, retiming: Retiming): string {
  const [start, end] = [script.fields.indexOf("Start"), script.fields.indexOf("End")];
  const events = script.events.flatMap((event) => {
    const moved = retimed(event, retiming);
    if (moved === null) return [];
    const values = [...moved.values];
    values[start] = printAssTime(moved.startSeconds);
    values[end] = printAssTime(moved.endSeconds);
    return [`Dialogue: ${values.join(",")}`];
  });
  return [
    ...["[Script Info]", ...script.info, "", ...restyled(script.styles, styleFields(style)), "", "[Events]"],
    ...[`Format: ${script.fields.join(", ")}`, ...events, ""],
  ].join("\n");
}
