/**
 * Multipart uploads: staged bytes that become visible, and cease to be staged, in one request.
 *
 * An upload says nothing of whose it is, so its last part number carries a mark: a part of a few bytes that is never
 * named when the upload is completed, which is how a store is told to drop it. By the mark's ETag, its MD5, an upload is
 * found again when a process died between beginning it and recording its id. Where a store cannot drop a part there is no
 * mark; bytes are sent only after the id is on record, so what such a process left is an upload without parts.
 */
import { createHash } from "node:crypto";
import type { CompletedPart, S3Client } from "@aws-sdk/client-s3";
import type { StagedObject } from "../port.ts";
import { orOn, unavailable } from "../remote/errors.ts";
import { metadataOf, type Owner, type Place } from "../remote/placement.ts";
import { type Part, partBytesFor } from "../remote/source.ts";
import { aborting, isNamed, S3_DIALECT, type S3Options, type Sdk } from "./client.ts";

const MARK_NUMBER = 10_000;
const UNMARKED_MS_MAX = 10 * 60_000;
/** A part that was under way while its upload was aborted may still arrive. */
const ABORTS_MAX = 3;
/** The store moves them by itself, up to 5 GiB in one; no larger than what a slow one moves before its silence is an error. */
const COPIED_PART_BYTES_MIN = 32 * 1024 * 1024;
const COPIES_AT_ONCE = 4;

const markOf = ({ jobId, leaseToken }: Owner): string => `rendiff ${jobId} ${leaseToken}`;
const md5 = (text: string): string => createHash("md5").update(text).digest("hex");
const plain = (etag: string | undefined): string => (etag ?? "").replaceAll('"', "");

interface CopyOrder {
  readonly from: Place;
  readonly etag: string;
  readonly sizeBytes: number;
  readonly signal: AbortSignal | undefined;
}

export interface StoredPart extends CompletedPart {
  readonly sizeBytes: number;
}

export class Uploads {
  readonly #sdk: Sdk;
  readonly #client: S3Client;
  readonly #checksums: boolean;
  readonly #marks: boolean;
  readonly #unmarkedMsMax: number;

  constructor(sdk: Sdk, client: S3Client, options: Pick<S3Options, "checksums" | "marks" | "unmarkedMsMax">) {
    this.#sdk = sdk;
    this.#client = client;
    this.#checksums = options.checksums;
    this.#marks = options.marks;
    this.#unmarkedMsMax = options.unmarkedMsMax ?? UNMARKED_MS_MAX;
  }

  /** The upload's id. When it rejects, what it can find of its own is aborted: without a mark only age would tell it. */
  async begin(place: Place, owner: Owner, mediaType: string, signal?: AbortSignal): Promise<string> {
    let id: string | null = null;
    try {
      id = await this.#create(place, owner, mediaType, signal);
      const bytes = new TextEncoder().encode(markOf(owner));
      if (this.#marks) await this.putPart(place, id, { number: MARK_NUMBER, startByte: 0, bytes }, signal);
      return id;
    } catch (error) {
      // What cannot be aborted now is the sweeper's.
      await this.#giveUp(place, id, signal).catch(() => {});
      throw error;
    }
  }

  async #giveUp(place: Place, id: string | null, signal?: AbortSignal): Promise<void> {
    if (id !== null) await this.abort(place, id, signal);
    else if (this.#marks) await this.#abortUnmarked(place, null, signal);
  }

  async #create({ bucket, object }: Place, owner: Owner, mediaType: string, signal?: AbortSignal): Promise<string> {
    const { UploadId, $metadata } = await this.#client.send(
      new this.#sdk.CreateMultipartUploadCommand({
        Bucket: bucket,
        Key: object,
        Metadata: metadataOf(owner),
        ContentType: mediaType,
        ...(this.#checksums ? { ChecksumAlgorithm: "CRC32" } : {}),
      }),
      aborting(signal),
    );
    if (UploadId === undefined) throw unavailable(object);
    // A try whose answer was lost may have begun an upload too.
    if (this.#marks && ($metadata.attempts ?? 1) > 1) await this.#abortUnmarked({ bucket, object }, UploadId, signal);
    return UploadId;
  }

  /** Rejects with `storage.unavailable` when somebody else aborted the upload: another attempt begins a new one. */
  async putPart({ bucket, object }: Place, id: string, { number, bytes }: Part, signal?: AbortSignal): Promise<void> {
    const command = new this.#sdk.UploadPartCommand({
      ...{ Bucket: bucket, Key: object, UploadId: id, PartNumber: number },
      Body: bytes,
      ContentLength: bytes.length,
      ...(this.#checksums ? { ChecksumAlgorithm: "CRC32" } : {}),
    });
    try {
      await this.#client.send(command, aborting(signal));
    } catch (error) {
      throw isNamed(error, "NoSuchUpload") ? unavailable(object, error) : error;
    }
  }

  /** All of another object's bytes, of the very object that is meant. Fails with 404 or 412 when it is another by now. */
  async copyParts(place: Place, id: string, { from, etag, sizeBytes, signal }: CopyOrder): Promise<void> {
    const path = [from.bucket, ...from.object.split("/")].map(encodeURIComponent).join("/");
    const partBytes = Math.max(COPIED_PART_BYTES_MIN, partBytesFor(sizeBytes));
    const starts = Array.from({ length: Math.ceil(sizeBytes / partBytes) }, (_, index) => index * partBytes);
    const copy = async (start: number): Promise<void> => {
      const command = new this.#sdk.UploadPartCopyCommand({
        ...{ Bucket: place.bucket, Key: place.object, UploadId: id, PartNumber: start / partBytes + 1 },
        ...{ CopySource: path, CopySourceIfMatch: `"${etag}"` },
        CopySourceRange: `bytes=${start}-${Math.min(start + partBytes, sizeBytes) - 1}`,
      });
      await this.#client.send(command, aborting(signal));
    };
    const lanes = Array.from({ length: COPIES_AT_ONCE }, async (_, lane) => {
      for (let index = lane; index < starts.length; index += COPIES_AT_ONCE) await copy(starts[index] ?? 0);
    });
    // Nothing may arrive after the caller was told that it failed.
    const failed = (await Promise.allSettled(lanes)).find((one) => one.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  /** Without the mark, in order; null when there is no such upload (any more). */
  async parts({ bucket, object }: Place, id: string, signal?: AbortSignal): Promise<readonly StoredPart[] | null> {
    const all = await this.#allParts({ bucket, object }, id, signal);
    return all?.filter((part) => part.PartNumber !== MARK_NUMBER) ?? null;
  }

  async exists({ bucket, object }: Place, id: string, signal?: AbortSignal): Promise<boolean> {
    const input = { Bucket: bucket, Key: object, UploadId: id, MaxParts: 1 };
    const send = this.#client.send(new this.#sdk.ListPartsCommand(input), aborting(signal));
    return (await orOn(S3_DIALECT, [404], null, send)) !== null;
  }

  /** False when there is no such upload (any more): completed or aborted, by whoever. */
  async complete(
    { bucket, object }: Place,
    id: string,
    { parts, ifAbsent, signal }: { parts: readonly StoredPart[]; ifAbsent: boolean; signal: AbortSignal | undefined },
  ): Promise<boolean> {
    const command = new this.#sdk.CompleteMultipartUploadCommand({
      ...{ Bucket: bucket, Key: object, UploadId: id },
      MultipartUpload: { Parts: parts.map(({ sizeBytes: _, ...part }) => part) },
      ...(ifAbsent ? { IfNoneMatch: "*" } : {}),
    });
    return (await orOn(S3_DIALECT, [404], null, this.#client.send(command, aborting(signal)))) !== null;
  }

  async abort({ bucket, object }: Place, id: string, signal?: AbortSignal): Promise<void> {
    for (let round = 0; round < ABORTS_MAX; round++) {
      try {
        const input = { Bucket: bucket, Key: object, UploadId: id };
        await this.#client.send(new this.#sdk.AbortMultipartUploadCommand(input), aborting(signal));
      } catch (error) {
        if (isNamed(error, "NoSuchUpload") || S3_DIALECT.statusOf(error) === 404) return;
        throw error;
      }
      if (!(await this.exists({ bucket, object }, id, signal))) return;
    }
    throw unavailable(object);
  }

  /**
   * Aborts what this job and token began for the object. Rejects with `storage.unavailable` while there is an upload that
   * may be theirs and was not marked yet: it is looked at again later.
   */
  async abortMarked(place: Place, owner: Owner, signal?: AbortSignal): Promise<void> {
    const mark = md5(markOf(owner));
    let unmarked = false;
    for (const { id, begunAt } of await this.#begun(place, signal)) {
      const parts = await this.#allParts(place, id, signal);
      if (parts === null) continue;
      const found = parts.find((part) => part.PartNumber === MARK_NUMBER);
      if (found === undefined && parts.length > 0) continue;
      const isOld = Date.now() - begunAt > this.#unmarkedMsMax;
      if (found === undefined && !isOld) unmarked = true;
      else if (found === undefined || plain(found.ETag) === mark) await this.abort(place, id, signal);
    }
    if (unmarked) throw unavailable(place.object);
  }

  /** May hit another job's that was begun in this very moment: its attempt is told so and repeated. */
  async #abortUnmarked(place: Place, own: string | null, signal?: AbortSignal): Promise<void> {
    for (const { id } of await this.#begun(place, signal)) {
      if (id !== own && (await this.#allParts(place, id, signal))?.length === 0) await this.abort(place, id, signal);
    }
  }

  async #allParts({ bucket, object }: Place, id: string, signal?: AbortSignal): Promise<StoredPart[] | null> {
    const parts: StoredPart[] = [];
    for (let marker: string | undefined; ; ) {
      const input = { Bucket: bucket, Key: object, UploadId: id, ...(marker ? { PartNumberMarker: marker } : {}) };
      const send = this.#client.send(new this.#sdk.ListPartsCommand(input), aborting(signal));
      const page = await orOn(S3_DIALECT, [404], null, send);
      if (page === null) return null;
      for (const { PartNumber, ETag, Size, ChecksumCRC32 } of page.Parts ?? []) {
        const checksum = this.#checksums && ChecksumCRC32 !== undefined ? { ChecksumCRC32 } : {};
        parts.push({ PartNumber, ETag, sizeBytes: Size ?? 0, ...checksum });
      }
      marker = page.NextPartNumberMarker;
      if (page.IsTruncated !== true || marker === undefined) return parts;
    }
  }

  /** Uploads for this very object. */
  async #begun({ bucket, object }: Place, signal?: AbortSignal): Promise<{ id: string; begunAt: number }[]> {
    const found: { id: string; begunAt: number }[] = [];
    for (let after: { KeyMarker?: string; UploadIdMarker?: string } = {}; ; ) {
      const input = { Bucket: bucket, Prefix: object, ...after };
      const page = await this.#client.send(new this.#sdk.ListMultipartUploadsCommand(input), aborting(signal));
      for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
        if (Key === object && UploadId !== undefined) found.push({ id: UploadId, begunAt: Initiated?.getTime() ?? 0 });
      }
      if (page.IsTruncated !== true || page.NextKeyMarker === undefined) return found;
      after = {
        KeyMarker: page.NextKeyMarker,
        ...(page.NextUploadIdMarker === undefined ? {} : { UploadIdMarker: page.NextUploadIdMarker }),
      };
    }
  }
}

/** A handle comes from a row: an upload's id is opaque, but never a path and never long. */
export function uploadIdOf({ handle }: StagedObject): string | null {
  return /^[\x21-\x7e]{1,1024}$/.test(handle) ? handle : null;
}
