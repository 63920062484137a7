/**
 * Whether a file ends where its format says it does. Decoders forgive a missing end in silence, and a full disk makes just
 * that: the last write is lost.
 */

/** Bytes of the start and of the end that are looked at; an Ogg page has at most 65,307 bytes (RFC 3533). */
export const HEAD_BYTES = 64;
export const TAIL_BYTES = 65_536;

export interface FileEnds {
  readonly sizeBytes: number;
  /** The first `HEAD_BYTES` and the last `TAIL_BYTES`, or all there is. */
  readonly head: Uint8Array;
  readonly tail: Uint8Array;
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** RIFF of AVI, WAV and WebP: the size is written last, so it may also still be that of an empty file. */
function checkRiff({ sizeBytes, head }: FileEnds): boolean {
  if (head.length < 12) return false;
  const size = viewOf(head).getUint32(4, true);
  // RF64 and streams have a placeholder; a large AVI goes on in further RIFF chunks.
  if (size === 0xffffffff) return true;
  return size > 0 && size + 8 <= sizeBytes;
}

/** The last page carries the end-of-stream flag and is whole (RFC 3533, section 6). */
function checkOgg({ tail }: FileEnds): boolean {
  for (let at = tail.length - 27; at >= 0; at -= 1) {
    if (tail[at] !== 0x4f || tail[at + 1] !== 0x67 || tail[at + 2] !== 0x67 || tail[at + 3] !== 0x53) continue;
    const segments = tail[at + 26] ?? 0;
    const table = tail.subarray(at + 27, at + 27 + segments);
    const body = table.reduce((sum, length) => sum + length, 0);
    return ((tail[at + 5] ?? 0) & 4) !== 0 && at + 27 + segments + body === tail.length;
  }
  return false;
}

const endsWith = ({ tail }: FileEnds, ...bytes: readonly number[]) =>
  bytes.every((byte, index) => tail[tail.length - bytes.length + index] === byte);

const TS_PACKET_BYTES = 188;

const CHECKS: Readonly<Record<string, (ends: FileEnds) => boolean>> = {
  avi: checkRiff,
  wav: checkRiff,
  webp: checkRiff,
  ogg: checkOgg,
  gif: (ends) => endsWith(ends, 0x3b),
  jpg: (ends) => endsWith(ends, 0xff, 0xd9),
  // The IEND chunk with its checksum.
  png: (ends) => endsWith(ends, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82),
  ts: ({ sizeBytes }) => sizeBytes % TS_PACKET_BYTES === 0,
};

/** `container` as MediaInfo names it; true for those whose end has no mark, which other checks have to judge. */
export function isWhole(container: string, ends: FileEnds): boolean {
  return CHECKS[container]?.(ends) ?? true;
}
