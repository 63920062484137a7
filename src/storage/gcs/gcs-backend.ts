/** Google Cloud Storage. An object's identity is its generation, which every precondition names. */
import { pipeline } from "node:stream/promises";
import type { Bucket, File, FileMetadata, Storage } from "@google-cloud/storage";
import { openSource } from "../local/transfer.ts";
import type { AheadOptions, PresignOptions, SentAhead, StorageBackend } from "../port.ts";
import { type CopyStore, makeCopyBackend, type PutOptions, type StoredBytes } from "../remote/copy-backend.ts";
import { corrupt, type Dialect, orOn } from "../remote/errors.ts";
import { metadataOf, type Place } from "../remote/placement.ts";
import { wholeOf } from "../remote/read.ts";
import { putInParts, removeParts, sendPartsAhead } from "./parts.ts";

export interface GcsOptions {
  readonly name: string;
  /** Null: the first part of each key names it. */
  readonly bucket: string | null;
  readonly prefix: string;
  /** Null: Google's own. Another address is used without credentials unless some are given. */
  readonly endpoint: string | null;
  /** A file of credentials; null: the SDK's own chain (environment, workload identity, the machine's account). */
  readonly keyFilename: string | null;
  /** Preconditions are honoured; emulators ignore some. */
  readonly conditionalWrites: boolean;
  /** Between two tries of one request, by the SDK. Below a second no resumable upload begins (8 MiB and more). */
  readonly retryDelaySecondsMax?: number;
  readonly readable: boolean;
  readonly writable: boolean;
}

const RETRY = { autoRetry: true, maxRetries: 4, retryDelayMultiplier: 2, totalTimeout: 60 };
const RETRY_DELAY_SECONDS_MAX = 5;
/** Of a resumable upload: what is sent again when a request fails. A multiple of 256 KiB. */
const CHUNK_BYTES = 8 * 1024 * 1024;
const READ_BYTES = 1024 * 1024;

class StatusError extends Error {
  readonly code: number;

  constructor(code: number) {
    super(`Google Cloud Storage answered ${code}.`);
    this.code = code;
  }
}

const DIALECT: Dialect = {
  statusOf(error) {
    const { code, status } = error as { code?: unknown; status?: unknown };
    for (const value of [code, status]) {
      const number = Number(value);
      if (Number.isInteger(number) && number >= 100 && number < 600) return number;
    }
    return null;
  },
};

const statOf = ({ size, generation, updated, md5Hash }: FileMetadata) => ({
  sizeBytes: Number(size ?? 0),
  modifiedAt: new Date(updated ?? 0),
  identity: String(generation ?? ""),
  ...(md5Hash ? { md5: Buffer.from(md5Hash, "base64").toString("hex") } : {}),
});

class GcsStore implements CopyStore {
  readonly dialect = DIALECT;
  readonly #storage: Storage;
  readonly #endpoint: string;
  readonly #anonymous: boolean;
  readonly #signs: boolean;

  constructor(storage: Storage, { endpoint, keyFilename }: GcsOptions) {
    this.#storage = storage;
    this.#endpoint = endpoint ?? "https://storage.googleapis.com";
    this.#signs = keyFilename !== null;
    this.#anonymous = endpoint !== null && keyFilename === null;
  }

  async head(place: Place) {
    const found = await orOn(DIALECT, [404], null, this.#file(place).getMetadata());
    if (found === null) return null;
    const [metadata] = found;
    return { stat: statOf(metadata), metadata: metadata.metadata ?? {} };
  }

  /** Without the SDK's stream, which reads ahead of whoever reads it. */
  async read(place: Place, identity: string, range: { startByte: number; endByte: number }, signal?: AbortSignal) {
    const path = `/download/storage/v1/b/${encodeURIComponent(place.bucket)}/o/${encodeURIComponent(place.object)}`;
    const url = `${this.#endpoint}${path}?alt=media&generation=${encodeURIComponent(identity)}`;
    const headers = this.#anonymous
      ? new Headers()
      : new Headers(await this.#storage.authClient.getRequestHeaders(url));
    headers.set("range", `bytes=${range.startByte}-${range.endByte - 1}`);
    // An object kept compressed is given as it is kept: its size and sums are those of these bytes.
    headers.set("accept-encoding", "gzip");
    const response = await fetch(url, { headers, decompress: false, ...(signal === undefined ? {} : { signal }) });
    if (response.ok && response.body !== null) {
      const body = response.body as ReadableStream<Uint8Array>;
      return { body, wholeBytes: wholeOf(response.headers.get("content-range")) };
    }
    await response.body?.cancel();
    throw new StatusError(response.status);
  }

  async put(place: Place, filePath: string, options: PutOptions): Promise<StoredBytes> {
    const { ahead } = options;
    const bucket = this.#bucket(place);
    if (ahead === undefined || ahead.sums.size === 0) {
      const stored = await this.#putWhole(place, filePath, options);
      // A part that was given up may have arrived.
      if (ahead !== undefined) await removeParts(bucket, place.object);
      return stored;
    }
    const stored = await putInParts(bucket, place.object, filePath, { ...options, ahead });
    const [metadata] = await this.#file(place).getMetadata();
    return { ...stored, identity: statOf(metadata).identity };
  }

  sendAhead(place: Place, filePath: string, options: AheadOptions): Promise<SentAhead> {
    return sendPartsAhead(this.#bucket(place), place.object, filePath, options);
  }

  async #putWhole(place: Place, filePath: string, options: PutOptions): Promise<StoredBytes> {
    const handle = await openSource(filePath);
    try {
      const { size } = await handle.stat();
      const file = this.#file(place);
      const sums = { sha256: new Bun.CryptoHasher("sha256"), md5: new Bun.CryptoHasher("md5") };
      let sizeBytes = 0;
      // Not the handle's own stream, which closes the descriptor when the other end fails, whatever it is told.
      async function* chunks(): AsyncGenerator<Uint8Array> {
        for (;;) {
          // Each in a buffer of its own: the SDK keeps what it may have to send again.
          const { bytesRead, buffer } = await handle.read(new Uint8Array(READ_BYTES), 0, READ_BYTES, sizeBytes);
          if (bytesRead === 0) return;
          const chunk = buffer.subarray(0, bytesRead);
          sums.sha256.update(chunk);
          sums.md5.update(chunk);
          sizeBytes += bytesRead;
          options.onBytes?.(sizeBytes);
          yield chunk;
        }
      }
      const to = file.createWriteStream({
        // A small object in one request; the SDK compares the sum that the store says with its own.
        ...(size <= CHUNK_BYTES ? { resumable: false } : { resumable: true, chunkSize: CHUNK_BYTES }),
        validation: "crc32c",
        contentType: options.mediaType,
        metadata: { metadata: metadataOf(options.owner) },
      });
      await pipeline(chunks, to, options.signal === undefined ? {} : { signal: options.signal });
      const [stored] = await file.getMetadata();
      const md5 = sums.md5.digest("base64");
      if (stored.md5Hash !== undefined && stored.md5Hash !== md5) throw corrupt(place.object, "kept other bytes for");
      return { sizeBytes, sha256: sums.sha256.digest("hex"), identity: statOf(stored).identity };
    } finally {
      await handle.close();
    }
  }

  async copy({ from, fromIdentity, to, toIdentity, as }: Parameters<CopyStore["copy"]>[0]): Promise<void> {
    const source = this.#bucket(from).file(from.object, { generation: fromIdentity });
    // Objects above a size are copied by several requests, which the SDK makes; only the last one shows the object.
    await source.copy(this.#file(to), {
      preconditionOpts: { ifGenerationMatch: toIdentity ?? 0 },
      ...(as === undefined ? {} : { contentType: as.mediaType, metadata: metadataOf(as.owner) }),
    });
  }

  async remove(place: Place, identity: string | null): Promise<boolean> {
    const options = identity === null ? {} : { ifGenerationMatch: identity };
    const removed = (await orOn(DIALECT, [404, 412], null, this.#file(place).delete(options))) !== null;
    if (identity !== null) return removed;
    return (await removeParts(this.#bucket(place), place.object)) || removed;
  }

  async list({ bucket, object }: Place, limit: number, after: string | null) {
    // `startOffset` is inclusive: the next name in order is the same with a NUL.
    const [files] = await this.#storage.bucket(bucket).getFiles({
      prefix: object,
      maxResults: limit,
      autoPaginate: false,
      ...(after === null ? {} : { startOffset: after }),
    });
    const found = files.map(({ name, metadata }: File) => ({ object: name, stat: statOf(metadata) }));
    return found.filter((one) => one.object !== after);
  }

  /** Signing needs a service account's key at hand; a workload's identity has none. */
  async presign(place: Place, { expiresInSeconds, contentDisposition }: PresignOptions): Promise<string | null> {
    if (!this.#signs) return null;
    const [url] = await this.#file(place).getSignedUrl({
      ...{ version: "v4", action: "read", responseDisposition: contentDisposition },
      expires: Date.now() + expiresInSeconds * 1000,
    });
    return url;
  }

  async close(): Promise<void> {}

  #bucket({ bucket }: Place): Bucket {
    return this.#storage.bucket(bucket);
  }

  #file(place: Place): File {
    return this.#bucket(place).file(place.object);
  }
}

export async function openGcsBackend(options: GcsOptions): Promise<StorageBackend> {
  const { Storage } = await import("@google-cloud/storage");
  const storage = new Storage({
    retryOptions: { ...RETRY, maxRetryDelay: options.retryDelaySecondsMax ?? RETRY_DELAY_SECONDS_MAX },
    ...(options.keyFilename === null ? {} : { keyFilename: options.keyFilename }),
    ...(options.endpoint === null
      ? {}
      : { apiEndpoint: options.endpoint, useAuthWithCustomEndpoint: options.keyFilename !== null, projectId: "-" }),
  });
  return makeCopyBackend({ ...options, type: "gcs" }, new GcsStore(storage, options));
}
