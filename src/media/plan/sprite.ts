/** Many small pictures of a film in one, and the map that says which part shows which time. */
import { printTime } from "../captions/print.ts";
import { filter } from "../filtergraph.ts";
import type { Thumbnail } from "../operations/thumbnail.schema.ts";
import type { PlannedOutput } from "../types.ts";
import { NO_MEDIA } from "./expect.ts";
import type { PictureState } from "./picture.ts";
import { invalidPlan } from "./refuse.ts";

const COLS = 5;
const ROWS = 5;
export const TILE_WIDTH = 160;

export interface Sheet {
  readonly cols: number;
  readonly rows: number;
  readonly count: number;
  readonly intervalSeconds: number;
}

/** How many pictures a film of `seconds` gives, and how they lie. */
export function sheetOf(thumbnail: Thumbnail, seconds: number, index: number): Sheet {
  const { cols = COLS, interval } = thumbnail;
  const asked = interval === undefined ? thumbnail.count : Math.max(1, Math.ceil(seconds / interval - 0.001));
  const count = asked ?? cols * (thumbnail.rows ?? ROWS);
  const rows = thumbnail.rows ?? Math.ceil(count / cols);
  if (count > cols * rows) {
    throw invalidPlan(
      `The sprite would hold ${count} pictures, and ${cols} times ${rows} have room for ${cols * rows}; choose a longer interval.`,
      `operations[${index}].interval`,
    );
  }
  return { cols, rows, count, intervalSeconds: interval ?? seconds / count };
}

/** The pictures side by side. */
export function tiled(picture: PictureState, { cols, rows, count }: Sheet): PictureState {
  const tile = filter("tile", { layout: `${cols}x${rows}`, nb_frames: count });
  return {
    ...picture,
    width: picture.width * cols,
    height: picture.height * rows,
    filters: [...picture.filters, tile],
  };
}

/** As players read it: `file#xywh=x,y,w,h` for each span of time. */
export function spriteMap(
  sheet: Sheet,
  tile: { width: number; height: number },
  picture: string,
  seconds: number,
): string {
  const cues = Array.from({ length: sheet.count }, (_, n) => {
    const from = n * sheet.intervalSeconds;
    const until = n === sheet.count - 1 ? seconds : Math.min(seconds, from + sheet.intervalSeconds);
    const [x, y] = [(n % sheet.cols) * tile.width, Math.floor(n / sheet.cols) * tile.height];
    return `${printTime(from, ".")} --> ${printTime(until, ".")}\n${encodeURIComponent(picture)}#xywh=${x},${y},${tile.width},${tile.height}\n`;
  });
  return `WEBVTT\n\n${cues.join("\n")}`;
}

export const mapOutput = (id: number, name: string, text: string): PlannedOutput => ({
  ...{ role: "map", file: `out/${id}.vtt`, name, mediaType: "text/vtt", content: { kind: "text", text } },
  expect: NO_MEDIA,
});
