/**
 * Text drawn over the film. What a user wrote reaches FFmpeg as a file of ours and is drawn without any expansion, so that
 * no letter of it is ever read as filter syntax, as an expression or as a command.
 */
import { filter, printNumber } from "../filtergraph.ts";
import type { Operation } from "../operations/parse.ts";
import type { Length } from "../operations/scalars.ts";
import type { Text } from "../operations/text.schema.ts";
import type { PlanFile } from "../types.ts";
import type { PictureContext, PictureState } from "./picture.ts";
import { enableFor, graphZero } from "./timeline.ts";
import { MARGIN_SHARE } from "./watermark.ts";

export const FONT_FOLDER = "fonts";
export const FONT_FILE = `${FONT_FOLDER}/text.ttf`;
/** Its family, as styles name it. */
export const FONT_FAMILY = "DejaVu Sans";

/** By its number among the job's texts, which is the same in every part of the plan. */
const fileOf = (operations: readonly Operation[], index: number): string =>
  `text/${operations.slice(0, index).filter(({ type }) => type === "text").length}.txt`;

/** The texts, each as a file. */
export function textFiles(operations: readonly Operation[]): PlanFile[] {
  return operations.flatMap((operation, index) =>
    operation.type === "text" ? [{ file: fileOf(operations, index), text: operation.text }] : [],
  );
}

const FONT_SHARE = 1 / 20;
const FONT_SIZE_MIN = 8;

/** The filter knows how large the text becomes: `tw` and `th` are its own names for that. */
function along(name: string, near: string, far: string, whole: "w" | "h", own: "tw" | "th", margin: number): string {
  if (name.includes(near)) return printNumber(margin);
  if (name.includes(far)) return `${whole}-${own}-${printNumber(margin)}`;
  return `(${whole}-${own})/2`;
}

function coordinate(at: Length, whole: number, own: "tw" | "th"): string {
  const pixels = "pixels" in at ? at.pixels : Math.round((at.percent / 100) * whole);
  return pixels < 0 ? `${printNumber(whole + pixels)}-${own}` : printNumber(pixels);
}

function placeOf({ width, height }: PictureState, { position = "bottom", x, y }: Text, border: number) {
  if (x !== undefined && y !== undefined) return { x: coordinate(x, width, "tw"), y: coordinate(y, height, "th") };
  const margin = Math.round(width * MARGIN_SHARE) + border;
  return {
    x: along(position, "left", "right", "w", "tw", margin),
    y: along(position, "top", "bottom", "h", "th", margin),
  };
}

export function applyText(state: PictureState, op: Text, { operations, index, scene }: PictureContext): PictureState {
  const { moment, window, durationSeconds } = scene();
  const enable = enableFor(op, graphZero(moment, window, durationSeconds));
  if (enable === null) return state;
  const fontSize = op.font_size ?? Math.max(FONT_SIZE_MIN, Math.round(state.height * FONT_SHARE));
  const boxed = op.box !== false;
  const border = boxed ? Math.max(1, Math.round(fontSize / 4)) : 0;
  const box = { box: 1, boxcolor: op.box === true ? "black@0.5" : String(op.box), boxborderw: border };
  const drawn = filter("drawtext", {
    fontfile: FONT_FILE,
    textfile: fileOf(operations, index),
    expansion: "none",
    fontsize: fontSize,
    fontcolor: op.color,
    ...(boxed ? box : {}),
    ...placeOf(state, op, border),
    enable,
  });
  return { ...state, changed: true, filters: [...state.filters, drawn] };
}
