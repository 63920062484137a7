/** How far an MP4's media lies behind where its muxer wrote it, because its index was put in front of it. */

const BOX_HEAD_BYTES = 8;

/** ISO/IEC 14496-12, 4.2: the size of the box at `offset`, and its type; null where there is none. */
function boxAt(bytes: Uint8Array, offset: number): { readonly sizeBytes: number; readonly type: string } | null {
  if (offset + BOX_HEAD_BYTES > bytes.length) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, BOX_HEAD_BYTES);
  return { sizeBytes: view.getUint32(0), type: String.fromCharCode(...bytes.subarray(offset + 4, offset + 8)) };
}

/** The bytes of the index, given the beginning of a file; 0 for a file that has none right behind its first box. */
export function indexBytesInFront(head: Uint8Array): number {
  const first = boxAt(head, 0);
  if (first?.type !== "ftyp") return 0;
  const second = boxAt(head, first.sizeBytes);
  return second?.type === "moov" ? second.sizeBytes : 0;
}
