/**
 * Azure Blob Storage. Uncommitted blocks belong to a blob's name, so that another writer's commit discards them: staging
 * is a blob of our own, copied by the service onto its destination on condition of both ETags.
 */
import type { Readable } from "node:stream";
import type { BlobServiceClient, BlockBlobClient, ContainerClient } from "@azure/storage-blob";
import type { AheadOptions, PresignOptions, SentAhead, StorageBackend } from "../port.ts";
import { cutOf, partNameOf, sendAheadParts, sumOf } from "../remote/ahead.ts";
import { type CopyStore, makeCopyBackend, type PutOptions, type StoredBytes } from "../remote/copy-backend.ts";
import { type Dialect, orOn } from "../remote/errors.ts";
import { metadataOf, type Place } from "../remote/placement.ts";
import { wholeOf } from "../remote/read.ts";
import { openParts, type Part, sendParts } from "../remote/source.ts";

export interface AzureOptions {
  readonly name: string;
  /** The container; null: the first part of each key names it. */
  readonly bucket: string | null;
  readonly prefix: string;
  readonly access:
    | { readonly connectionString: string }
    /** Of the account; a SAS is its query. Without one the platform's own identity is asked. */
    | { readonly url: string; readonly sas: string | null };
  readonly readable: boolean;
  readonly writable: boolean;
}

const BLOCKS_AT_ONCE = 2;
const RETRY = { maxTries: 5, tryTimeoutInMs: 60_000, retryDelayInMs: 200, maxRetryDelayInMs: 5_000 };
const COPY_POLL_MS = 200;

const DIALECT: Dialect = {
  statusOf(error) {
    const { statusCode } = error as { statusCode?: unknown };
    return typeof statusCode === "number" ? statusCode : null;
  },
};

const aborting = (signal: AbortSignal | undefined): { abortSignal?: AbortSignal } =>
  signal === undefined ? {} : { abortSignal: signal };

interface Properties {
  readonly contentLength?: number | undefined;
  readonly lastModified?: Date | undefined;
  readonly etag?: string | undefined;
  readonly contentMD5?: Uint8Array | undefined;
}

const statOf = ({ contentLength, lastModified, etag, contentMD5 }: Properties) => ({
  sizeBytes: contentLength ?? 0,
  modifiedAt: lastModified ?? new Date(0),
  // Listings give it bare, answers in quotes.
  identity: (etag ?? "").replaceAll('"', ""),
  ...(contentMD5?.length === 16 ? { md5: Buffer.from(contentMD5).toString("hex") } : {}),
});

const quoted = (identity: string): string => `"${identity}"`;

const blockId = (part: Part): string => Buffer.from(partNameOf(part)).toString("base64");

const md5 = (bytes: Uint8Array): Uint8Array => new Bun.CryptoHasher("md5").update(bytes).digest();

async function stageBlock(blob: BlockBlobClient, part: Part, signal: AbortSignal): Promise<void> {
  const { bytes } = part;
  const checked = { transactionalContentMD5: md5(bytes), abortSignal: signal };
  await blob.stageBlock(blockId(part), bytes, bytes.length, checked);
}

function streamOf(body: NodeJS.ReadableStream): ReadableStream<Uint8Array> {
  const chunks = body[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await chunks.next();
        if (done === true) controller.close();
        else controller.enqueue(value as unknown as Uint8Array);
      },
      cancel() {
        // Not `return()`: it waits for a chunk that a stalled connection never brings.
        (body as Readable).destroy();
      },
    },
    { highWaterMark: 0 },
  );
}

class AzureStore implements CopyStore {
  readonly dialect = DIALECT;
  readonly #service: BlobServiceClient;

  constructor(service: BlobServiceClient) {
    this.#service = service;
  }

  async head({ bucket, object }: Place, signal?: AbortSignal) {
    const blob = this.#container(bucket).getBlobClient(object);
    const found = await orOn(DIALECT, [404], null, blob.getProperties(aborting(signal)));
    if (found === null) return null;
    const isWhole = found.copyStatus === undefined || found.copyStatus === "success";
    return { stat: statOf(found), metadata: isWhole ? (found.metadata ?? {}) : {} };
  }

  async read(
    { bucket, object }: Place,
    identity: string,
    range: { startByte: number; endByte: number },
    signal?: AbortSignal,
  ) {
    const { startByte, endByte } = range;
    const blob = this.#container(bucket).getBlobClient(object);
    const answer = await blob.download(startByte, endByte - startByte, {
      conditions: { ifMatch: quoted(identity) },
      // It would go on with another blob's bytes; what breaks off is taken up again by who reads.
      maxRetryRequests: 0,
      ...aborting(signal),
    });
    if (answer.readableStreamBody === undefined) throw new Error("Azure gave no body.");
    return { body: streamOf(answer.readableStreamBody), wholeBytes: wholeOf(answer.contentRange) };
  }

  async put({ bucket, object }: Place, filePath: string, options: PutOptions): Promise<StoredBytes> {
    const blob = this.#container(bucket).getBlockBlobClient(object);
    await using source = await openParts(filePath, await cutOf(filePath, options.ahead));
    let sent = 0;
    const ids = await sendParts(source, { atOnce: BLOCKS_AT_ONCE, signal: options.signal }, async (part, signal) => {
      // The service refuses an empty block; a blob without blocks is empty.
      if (part.bytes.length === 0) return null;
      const isThere = options.ahead !== undefined && options.ahead.sums.get(part.number) === sumOf(part.bytes);
      if (!isThere) await stageBlock(blob, part, signal);
      sent += part.bytes.length;
      options.onBytes?.(sent);
      return blockId(part);
    });
    const whole = new Uint8Array(Buffer.from(source.md5(), "hex"));
    const { etag } = await blob.commitBlockList(
      ids.filter((id) => id !== null),
      {
        blobHTTPHeaders: { blobContentType: options.mediaType, blobContentMD5: whole },
        metadata: metadataOf(options.owner),
        ...aborting(options.signal),
      },
    );
    return { sizeBytes: source.sizeBytes, sha256: source.sha256(), identity: statOf({ etag }).identity };
  }

  sendAhead({ bucket, object }: Place, filePath: string, options: AheadOptions): Promise<SentAhead> {
    const blob = this.#container(bucket).getBlockBlobClient(object);
    return sendAheadParts(filePath, options, BLOCKS_AT_ONCE, (part, signal) => stageBlock(blob, part, signal));
  }

  /** The service keeps the source's type, which is that of what was published. */
  async copy({ from, fromIdentity, to, toIdentity, as, signal }: Parameters<CopyStore["copy"]>[0]): Promise<void> {
    const source = this.#container(from.bucket).getBlobClient(from.object);
    const poller = await this.#container(to.bucket)
      .getBlobClient(to.object)
      .beginCopyFromURL(source.url, {
        conditions: toIdentity === null ? { ifNoneMatch: "*" } : { ifMatch: quoted(toIdentity) },
        sourceConditions: { ifMatch: quoted(fromIdentity) },
        intervalInMs: COPY_POLL_MS,
        ...(as === undefined ? {} : { metadata: metadataOf(as.owner) }),
        ...aborting(signal),
      });
    await poller.pollUntilDone();
  }

  async remove({ bucket, object }: Place, identity: string | null, signal?: AbortSignal): Promise<boolean> {
    const blob = this.#container(bucket).getBlobClient(object);
    const conditions = identity === null ? {} : { conditions: { ifMatch: quoted(identity) } };
    const send = blob.delete({ ...conditions, ...aborting(signal), deleteSnapshots: "include" });
    if ((await orOn(DIALECT, [404, 412], null, send)) !== null) return true;
    return identity === null && (await this.#discardBlocks({ bucket, object }, signal));
  }

  /** Blocks that were never committed stay for a week, and nothing but a commit removes them. */
  async #discardBlocks({ bucket, object }: Place, signal?: AbortSignal): Promise<boolean> {
    const blob = this.#container(bucket).getBlockBlobClient(object);
    const list = await orOn(DIALECT, [404], null, blob.getBlockList("uncommitted", aborting(signal)));
    if ((list?.uncommittedBlocks ?? []).length === 0) return false;
    const { etag = "" } = await blob.commitBlockList([], { conditions: { ifNoneMatch: "*" }, ...aborting(signal) });
    await orOn(DIALECT, [404, 412], null, blob.delete({ conditions: { ifMatch: etag }, ...aborting(signal) }));
    return true;
  }

  async list({ bucket, object }: Place, limit: number, after: string | null) {
    const found: { object: string; stat: ReturnType<typeof statOf> }[] = [];
    // The service can begin only at a mark of its own, so what comes before is passed over.
    for await (const blob of this.#container(bucket).listBlobsFlat({ prefix: object })) {
      if (after !== null && Buffer.compare(Buffer.from(blob.name), Buffer.from(after)) <= 0) continue;
      found.push({ object: blob.name, stat: statOf(blob.properties) });
      if (found.length >= limit) break;
    }
    return found;
  }

  /** An account's key signs; a SAS or the platform's identity does not. */
  async presign({ bucket, object }: Place, { expiresInSeconds, contentDisposition }: PresignOptions) {
    const { BlobSASPermissions, StorageSharedKeyCredential } = await import("@azure/storage-blob");
    const blob = this.#container(bucket).getBlobClient(object);
    if (!(blob.credential instanceof StorageSharedKeyCredential)) return null;
    return await blob.generateSasUrl({
      ...{ permissions: BlobSASPermissions.parse("r"), contentDisposition },
      expiresOn: new Date(Date.now() + expiresInSeconds * 1000),
    });
  }

  async close(): Promise<void> {}

  #container(name: string): ContainerClient {
    return this.#service.getContainerClient(name);
  }
}

async function openService({ access }: AzureOptions): Promise<BlobServiceClient> {
  const { AnonymousCredential, BlobServiceClient } = await import("@azure/storage-blob");
  const retryOptions = RETRY;
  if ("connectionString" in access) {
    return BlobServiceClient.fromConnectionString(access.connectionString, { retryOptions });
  }
  if (access.sas !== null) {
    const query = access.sas.replace(/^\?/, "");
    return new BlobServiceClient(`${access.url}?${query}`, new AnonymousCredential(), { retryOptions });
  }
  const { DefaultAzureCredential } = await import("@azure/identity");
  return new BlobServiceClient(access.url, new DefaultAzureCredential(), { retryOptions });
}

export async function openAzureBackend(options: AzureOptions): Promise<StorageBackend> {
  const store = new AzureStore(await openService(options));
  return makeCopyBackend({ ...options, type: "azure", conditionalWrites: true }, store);
}
