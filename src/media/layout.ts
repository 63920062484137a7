/**
 * How a file's parts lie, from its first bytes and its last: whether FFmpeg can read it from a pipe and lose nothing. Only
 * what is understood here is streamed; of everything else the whole is fetched first.
 *
 * Sources: ISO/IEC 14496-12 (boxes), RFC 9559 (Matroska), RFC 9639 (FLAC), ISO/IEC 13818-1 (transport streams), RIFF.
 */

export type Layout =
  /** `container`: what a probe must find too. */
  | { readonly streams: true; readonly container: string }
  /** `media`: the box of an MP4's, whose index lies behind it and can perhaps be moved to the front (`move-index.ts`). */
  | {
      readonly streams: false;
      readonly reason: string;
      readonly media?: { readonly start: number; readonly end: number };
    };

export interface FileEnds {
  readonly head: Uint8Array;
  /** The last bytes; of a file not larger than `head` its end. */
  readonly tail: Uint8Array;
  readonly sizeBytes: number;
}

const no = (reason: string): Layout => ({ streams: false, reason });
const streams = (container: string): Layout => ({ streams: true, container });

/** For names: of a megabyte, its call would have more arguments than there may be. */
const textAt = (bytes: Uint8Array, at: number, length: number): string =>
  String.fromCharCode(...bytes.subarray(at, at + length));

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Whether one of the boxes from `at` to `end` is of this type. */
function holdsBox(head: Uint8Array, at: number, end: number, type: string): boolean {
  const view = viewOf(head);
  for (let from = at; from + 8 <= end; ) {
    if (textAt(head, from + 4, 4) === type) return true;
    const size = view.getUint32(from);
    if (size < 8) return false;
    from += size;
  }
  return false;
}

/** Boxes up to the media data; the index has to be among them. */
function mp4Layout({ head, sizeBytes }: FileEnds): Layout {
  const view = viewOf(head);
  let index = false;
  for (let at = 0; at + 16 <= head.length; ) {
    const short = view.getUint32(at);
    const size = short === 1 ? Number(view.getBigUint64(at + 8)) : short;
    const type = textAt(head, at + 4, 4);
    if (type === "mdat") {
      if (index) return streams("mp4");
      const reason = "its index is at its end";
      if (size < 8 || at + size >= sizeBytes) return no(reason);
      return { streams: false, reason, media: { start: at, end: at + size } };
    }
    if (type === "moof") return no("it is fragmented");
    if (size < 8) return no("its boxes are not understood");
    if (type === "moov") {
      if (at + size > head.length) return no("its index is too long to be read first");
      index = true;
      if (holdsBox(head, at + (short === 1 ? 16 : 8), at + size, "mvex")) return no("it is fragmented");
    }
    at += size;
  }
  return no("its media data is not near its beginning");
}

interface Element {
  readonly id: number;
  readonly start: number;
  /** Null: unknown. */
  readonly size: number | null;
}

/** An EBML element's header at `at`; null where the bytes end or are none. */
function elementAt(bytes: Uint8Array, at: number): Element | null {
  const idLength = Math.clz32(bytes[at] ?? 0) - 23;
  if (idLength > 4) return null;
  let id = 0;
  for (let n = 0; n < idLength; n++) id = id * 256 + (bytes[at + n] ?? 0);
  const sizeAt = at + idLength;
  const sizeLength = Math.clz32(bytes[sizeAt] ?? 0) - 23;
  if (sizeLength > 8 || sizeAt + sizeLength > bytes.length) return null;
  let size = (bytes[sizeAt] ?? 0) & (0xff >> sizeLength);
  let unknown = size === 0xff >> sizeLength;
  for (let n = 1; n < sizeLength; n++) {
    const byte = bytes[sizeAt + n] ?? 0;
    unknown &&= byte === 0xff;
    size = size * 256 + byte;
  }
  return { id, start: sizeAt + sizeLength, size: unknown ? null : size };
}

const ID = { ebml: 0x1a45dfa3, segment: 0x18538067, cluster: 0x1f43b675, cues: 0x1c53bb6b, seekHead: 0x114d9b74 };
const ID_SEEK = { seek: 0x4dbb, id: 0x53ab, position: 0x53ac };

const uintOf = (bytes: Uint8Array): number => bytes.reduce((sum, byte) => sum * 256 + byte, 0);

/** What a SeekHead says lies where, relative to the segment's data. */
function seekEntries(bytes: Uint8Array): { id: number; position: number }[] {
  const entries: { id: number; position: number }[] = [];
  for (let at = 0; at < bytes.length; ) {
    const seek = elementAt(bytes, at);
    if (seek === null || seek.size === null) break;
    const inner = bytes.subarray(seek.start, seek.start + seek.size);
    const entry = { id: 0, position: 0 };
    for (let within = 0; within < inner.length; ) {
      const part = elementAt(inner, within);
      if (part === null || part.size === null) break;
      const value = uintOf(inner.subarray(part.start, part.start + part.size));
      if (part.id === ID_SEEK.id) entry.id = value;
      if (part.id === ID_SEEK.position) entry.position = value;
      within = part.start + part.size;
    }
    if (seek.id === ID_SEEK.seek) entries.push(entry);
    at = seek.start + seek.size;
  }
  return entries;
}

/** A header has a few dozen bytes, whatever it says of itself. */
const EBML_BYTES_MAX = 256;

function matroskaLayout({ head }: FileEnds): Layout {
  const ebml = elementAt(head, 0);
  const segment = ebml?.size == null ? null : elementAt(head, ebml.start + ebml.size);
  if (ebml?.size == null || segment?.id !== ID.segment) return no("its elements are not understood");
  const container = textAt(head, ebml.start, Math.min(ebml.size, EBML_BYTES_MAX)).includes("webm") ? "webm" : "mkv";
  const listed: { id: number; position: number }[] = [];
  for (let at = segment.start; at < head.length; ) {
    const element = elementAt(head, at);
    if (element === null) break;
    if (element.id === ID.cluster) {
      const late = listed.some(({ id, position }) => id !== ID.cues && segment.start + position > at);
      return late ? no("its tags, chapters or attachments are at its end") : streams(container);
    }
    if (element.size === null) break;
    if (element.id === ID.seekHead) {
      // One by one: there may be more of them than a call may have arguments.
      for (const entry of seekEntries(head.subarray(element.start, element.start + element.size))) listed.push(entry);
    }
    at = element.start + element.size;
  }
  return no("its media data is not near its beginning");
}

function wavLayout({ head, sizeBytes }: FileEnds): Layout {
  const view = viewOf(head);
  for (let at = 12; at + 8 <= head.length; ) {
    const size = view.getUint32(at + 4, true);
    if (textAt(head, at, 4) === "data") {
      const end = at + 8 + size;
      return end + (size % 2) >= sizeBytes ? streams("wav") : no("something lies behind its sound");
    }
    at += 8 + size + (size % 2);
  }
  return no("its sound is not near its beginning");
}

const TAG_BYTES = 128;
const APE_FOOTER_BYTES = 32;

function mp3Layout({ head, tail }: FileEnds): Layout {
  const hasApe = [0, TAG_BYTES].some(
    (behind) => textAt(tail, tail.length - APE_FOOTER_BYTES - behind, 8) === "APETAGEX",
  );
  const hasOldTag = textAt(tail, tail.length - TAG_BYTES, 3) === "TAG";
  if (hasApe || (hasOldTag && textAt(head, 0, 3) !== "ID3")) return no("its tags are at its end");
  return streams("mp3");
}

/** MPEG audio, layer III: eleven set bits, and no layer 0, which is AAC's. */
const isMp3 = (head: Uint8Array): boolean =>
  textAt(head, 0, 3) === "ID3" || (head[0] === 0xff && ((head[1] ?? 0) & 0xe6) === 0xe2);

const isTransport = (head: Uint8Array): boolean => [0, 188, 376, 564].every((at) => head[at] === 0x47);

export function findLayout(ends: FileEnds): Layout {
  const { head } = ends;
  if (textAt(head, 4, 4) === "ftyp") return mp4Layout(ends);
  if (head.length >= 4 && viewOf(head).getUint32(0) === ID.ebml) return matroskaLayout(ends);
  if (textAt(head, 0, 4) === "RIFF" && textAt(head, 8, 4) === "WAVE") return wavLayout(ends);
  if (textAt(head, 0, 4) === "fLaC") return streams("flac");
  if (isTransport(head)) return streams("ts");
  if (isMp3(head)) return mp3Layout(ends);
  return no("containers of its kind are not read from a pipe");
}
