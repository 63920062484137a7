/**
 * An object that is put together from parts, each an object of its own beside it: so that parts can be sent while the file is
 * written, and again when it has changed. A resumable upload takes every byte once and in order, and most muxers write their
 * first bytes anew at their end.
 *
 * Source: Cloud Storage, JSON API, Objects: compose (32 objects at most, which may be composed ones themselves).
 */
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Bucket, File } from "@google-cloud/storage";
import type { AheadOptions, SentAhead } from "../port.ts";
import { cutOf, partNameOf, sendAheadParts, sumOf } from "../remote/ahead.ts";
import type { PutOptions, StoredBytes } from "../remote/copy-backend.ts";
import { corrupt } from "../remote/errors.ts";
import { metadataOf } from "../remote/placement.ts";
import { openParts, type Part, sendParts } from "../remote/source.ts";

const PARTS_AT_ONCE = 2;
const COMPOSED_MAX = 32;

/** Behind a hidden object's name, and hidden like it. */
const prefixOf = (object: string): string => `${object}.part-`;
const nameOf = (object: string, part: Part): string => prefixOf(object) + partNameOf(part);

async function savePart(file: File, { bytes }: Pick<Part, "bytes">, signal: AbortSignal): Promise<void> {
  const to = file.createWriteStream({ resumable: false, validation: "crc32c" });
  await pipeline(Readable.from([Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)]), to, { signal });
}

export function sendPartsAhead(
  bucket: Bucket,
  object: string,
  path: string,
  options: AheadOptions,
): Promise<SentAhead> {
  return sendAheadParts(path, options, PARTS_AT_ONCE, (part, signal) =>
    savePart(bucket.file(nameOf(object, part)), part, signal),
  );
}

/** Composes them in rounds, `atOnce` at a time, until one object is left. */
export async function compose(
  bucket: Bucket,
  parts: readonly string[],
  object: string,
  atOnce = COMPOSED_MAX,
): Promise<File> {
  let names = [...parts];
  for (let round = 1; names.length > atOnce; round++) {
    const next: string[] = [];
    for (let at = 0; at < names.length; at += atOnce) {
      const name = `${prefixOf(object)}${round}-${next.length}`;
      await bucket.combine(names.slice(at, at + atOnce), name);
      next.push(name);
    }
    names = next;
  }
  const [whole] = await bucket.combine(names, bucket.file(object));
  return whole;
}

/** Sends what is not there yet, and puts the object together; each part's sum is compared as it is stored. */
export async function putInParts(
  bucket: Bucket,
  object: string,
  path: string,
  options: PutOptions & { readonly ahead: SentAhead },
): Promise<Omit<StoredBytes, "identity">> {
  const { ahead, signal, onBytes = () => {} } = options;
  await using source = await openParts(path, await cutOf(path, ahead));
  let sent = 0;
  const names = await sendParts(source, { atOnce: PARTS_AT_ONCE, signal }, async (part, partSignal) => {
    const name = nameOf(object, part);
    if (ahead.sums.get(part.number) !== sumOf(part.bytes)) await savePart(bucket.file(name), part, partSignal);
    sent += part.bytes.length;
    onBytes(sent);
    return name;
  });
  signal?.throwIfAborted();
  const whole = await compose(bucket, names, object);
  const [{ size }] = await whole.setMetadata({
    contentType: options.mediaType,
    metadata: metadataOf(options.owner),
  });
  if (Number(size) !== source.sizeBytes) throw corrupt(object, "kept other bytes than were sent for");
  await removeParts(bucket, object);
  return { sizeBytes: source.sizeBytes, sha256: source.sha256() };
}

/** Idempotent. */
export async function removeParts(bucket: Bucket, object: string): Promise<boolean> {
  const [files] = await bucket.getFiles({ prefix: prefixOf(object) });
  for (const file of files) await file.delete({ ignoreNotFound: true });
  return files.length > 0;
}
