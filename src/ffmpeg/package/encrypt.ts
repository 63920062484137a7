/**
 * AES-128 of HLS (RFC 8216 §4.3.2.4): each segment as a whole, AES-128-CBC with PKCS7, its sequence number as the IV. The
 * packager has no such mode for transport streams, and it is one call for each file.
 */
import { createCipheriv, createDecipheriv, createHash } from "node:crypto";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import type { FoundPlaylist } from "../../media/streaming/check-package.ts";
import { invalidPackage } from "./read-package.ts";

export interface ContentKey {
  readonly bytes: Uint8Array;
  /** What players fetch. */
  readonly uri: string;
}

/** The IV of a segment whose playlist gives none. */
function ivOf(sequence: number): Buffer {
  const iv = Buffer.alloc(16);
  iv.writeBigUInt64BE(BigInt(sequence), 8);
  return iv;
}

const digest = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** A segment is a few seconds of media and is held in memory whole. */
async function encryptFile(path: string, key: Uint8Array, sequence: number): Promise<void> {
  const plain = await Bun.file(path).bytes();
  const cipher = createCipheriv("aes-128-cbc", key, ivOf(sequence));
  await Bun.write(`${path}.enc`, Buffer.concat([cipher.update(plain), cipher.final()]));
  // What was written is read again: a full disk must not leave a segment that nobody can open.
  const written = await Bun.file(`${path}.enc`).bytes();
  const decipher = createDecipheriv("aes-128-cbc", key, ivOf(sequence));
  let opened: Buffer;
  try {
    opened = Buffer.concat([decipher.update(written), decipher.final()]);
  } catch {
    throw invalidPackage(["an encrypted segment cannot be opened with its key"]);
  }
  if (digest(opened) !== digest(plain)) throw invalidPackage(["an encrypted segment is not what was encrypted"]);
  await rename(`${path}.enc`, path);
}

/** `#EXT-X-KEY` before the first segment; it holds for all that follow. */
export function withKey(playlist: string, uri: string): string {
  return playlist.replace(/^#EXTINF/m, () => `#EXT-X-KEY:METHOD=AES-128,URI="${uri}"\n#EXTINF`);
}

/** Replaces the segments of checked playlists by encrypted ones, and says so in the playlists. */
export async function encryptPackage(
  folder: string,
  playlists: Iterable<FoundPlaylist>,
  key: ContentKey,
  signal?: AbortSignal,
): Promise<void> {
  for (const { file, segments } of playlists) {
    for (const [sequence, segment] of segments.entries()) {
      signal?.throwIfAborted();
      await encryptFile(join(folder, segment.file), key.bytes, sequence);
    }
    const path = join(folder, file);
    await Bun.write(path, withKey(await Bun.file(path).text(), key.uri));
  }
}
