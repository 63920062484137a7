/**
 * An MP4 whose index lies behind its media, as if it lay in front: the index that is sent first is its own, with the places of
 * all chunks moved by its length. Only the plain case is understood; of everything else the whole is fetched first.
 *
 * Sources: ISO/IEC 14496-12, 8.2 (movie), 8.7.5 (chunk offsets), 8.7.9 (auxiliary information).
 */

export interface MovedIndex {
  /** The box to send before the byte at `insertAt`. */
  readonly index: Uint8Array;
  readonly insertAt: number;
  /** Where the index lies in the file; `endByte` is exclusive. */
  readonly startByte: number;
  readonly endByte: number;
}

export interface IndexBehind {
  /** Where the media's box begins. */
  readonly mediaAt: number;
  /** From the end of the media's box to the end of the file. */
  readonly rest: Uint8Array;
  readonly restAt: number;
}

interface Box {
  readonly type: string;
  readonly start: number;
  /** Of what is in it. */
  readonly bodyAt: number;
  readonly end: number;
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Null: they are not understood. */
function boxesOf(bytes: Uint8Array, from: number, to: number): Box[] | null {
  const view = viewOf(bytes);
  const boxes: Box[] = [];
  for (let start = from; start < to; ) {
    if (start + 8 > to) return null;
    const short = view.getUint32(start);
    if (short === 1 && start + 16 > to) return null;
    const size = short === 1 ? Number(view.getBigUint64(start + 8)) : short;
    const bodyAt = start + (short === 1 ? 16 : 8);
    if (start + size < bodyAt || start + size > to) return null;
    boxes.push({
      type: String.fromCharCode(...bytes.subarray(start + 4, start + 8)),
      start,
      bodyAt,
      end: start + size,
    });
    start += size;
  }
  return boxes;
}

/** On the way from the index to the tables of chunks. */
const PARENTS = ["trak", "mdia", "minf", "stbl"];
/** Compressed, fragmented, or with places of its own that would have to be moved too. */
const NOT_UNDERSTOOD = new Set(["cmov", "mvex", "saio"]);
const PADDING = new Set(["free", "skip", "wide"]);
const UINT32_MAX = 0xffff_ffff;

/** Moves a table's places; false when they do not fit. */
function moveChunks(view: DataView, { type, bodyAt, end }: Box, by: number): boolean {
  if (bodyAt + 8 > end) return false;
  const width = type === "co64" ? 8 : 4;
  const count = view.getUint32(bodyAt + 4);
  if (bodyAt + 8 + count * width > end) return false;
  for (let n = 0, at = bodyAt + 8; n < count; n++, at += width) {
    if (width === 8) {
      view.setBigUint64(at, view.getBigUint64(at) + BigInt(by));
      continue;
    }
    const moved = view.getUint32(at) + by;
    if (moved > UINT32_MAX) return false;
    view.setUint32(at, moved);
  }
  return true;
}

/** Changes `index`; false when something in it is not understood. `parents` may lie below: no box is ever in one like itself. */
function moveAll(index: Uint8Array, from: number, to: number, by: number, parents = PARENTS): boolean {
  const boxes = boxesOf(index, from, to);
  if (boxes === null) return false;
  return boxes.every((box) => {
    if (NOT_UNDERSTOOD.has(box.type)) return false;
    const level = parents.indexOf(box.type);
    if (level >= 0) return moveAll(index, box.bodyAt, box.end, by, parents.slice(level + 1));
    if (PARENTS.includes(box.type)) return false;
    return (box.type !== "stco" && box.type !== "co64") || moveChunks(viewOf(index), box, by);
  });
}

/** Null when it is not the plain case: one index, and only padding beside it. */
export function moveIndex({ mediaAt, rest, restAt }: IndexBehind): MovedIndex | null {
  const boxes = boxesOf(rest, 0, rest.length);
  const [box, ...others] = boxes?.filter(({ type }) => !PADDING.has(type)) ?? [];
  if (box?.type !== "moov" || others.length > 0) return null;
  const index = rest.slice(box.start, box.end);
  if (!moveAll(index, box.bodyAt - box.start, index.length, index.length)) return null;
  return { index, insertAt: mediaAt, startByte: restAt + box.start, endByte: restAt + box.end };
}

/** The file's bytes, in their order and from its beginning, with its index moved. */
export async function* withMovedIndex(parts: AsyncIterable<Uint8Array>, moved: MovedIndex): AsyncGenerator<Uint8Array> {
  const { insertAt, startByte, endByte, index } = moved;
  let at = 0;
  for await (const part of parts) {
    const end = at + part.length;
    const cut = (from: number, to: number): Uint8Array =>
      part.subarray(Math.min(part.length, Math.max(0, from - at)), Math.max(0, to - at));
    const pieces = [cut(at, insertAt), ...(at <= insertAt && insertAt < end ? [index] : [])];
    for (const piece of [...pieces, cut(insertAt, startByte), cut(endByte, end)]) if (piece.length > 0) yield piece;
    at = end;
  }
}
