/**
 * S3 and what speaks like it. Staged bytes are a multipart upload that is completed when the attempt publishes: nothing is
 * copied, nothing half-written is ever seen, and a completion that lands late finds its upload consumed.
 */
import type { GetObjectCommandOutput, HeadObjectCommandOutput, S3Client } from "@aws-sdk/client-s3";
import { RendiffError } from "../../errors.ts";
import type {
  AheadOptions,
  BackendProperties,
  CopyOptions,
  CopySource,
  FillOptions,
  ObjectStat,
  OpenOptions,
  PresignOptions,
  PublishOutcome,
  SentAhead,
  SettledState,
  StagedBytes,
  StagedObject,
  StorageBackend,
} from "../port.ts";
import { cutOf, sendAheadParts, sumOf } from "../remote/ahead.ts";
import { changed, corrupt, notFound, orOn, translated, unavailable } from "../remote/errors.ts";
import { collectPages } from "../remote/pages.ts";
import { isOwnedBy, METADATA, makePlacement, type Owner, type Place, type Placement } from "../remote/placement.ts";
import { emptyStream, rangeOf, toStream } from "../remote/read.ts";
import { openParts, sendParts } from "../remote/source.ts";
import { aborting, openClient, S3_DIALECT, type S3Options, type Sdk } from "./client.ts";
import { type StoredPart, Uploads, uploadIdOf } from "./uploads.ts";

const PARTS_AT_ONCE = 2;
/** Waits for a completion that another process is in the middle of, in milliseconds. */
const LOOK_AGAIN_MS = [20, 50, 100, 200, 400];

const plainEtag = (etag: string | undefined): string => (etag ?? "").replaceAll('"', "");

/** Bytes and second of writing: the same bytes put there again by somebody else are another object. */
function identityOf(etag: string | undefined, modified: Date | undefined): string {
  return `${plainEtag(etag)}@${Math.floor((modified?.getTime() ?? 0) / 1000)}`;
}

interface Dated {
  readonly ETag?: string | undefined;
  readonly LastModified?: Date | undefined;
}

interface Encrypted {
  readonly ServerSideEncryption?: string | undefined;
  readonly SSECustomerAlgorithm?: string | undefined;
}

/** AWS's ETag is the MD5 of what was put in one request and is not encrypted with a key of its own; of parts it is another. */
function md5Of({ ETag = "", ServerSideEncryption = "AES256", SSECustomerAlgorithm }: Dated & Encrypted): string | null {
  const isPlain = ServerSideEncryption === "AES256" && SSECustomerAlgorithm === undefined;
  return isPlain ? (/^"?([0-9a-f]{32})"?$/.exec(ETag)?.[1] ?? null) : null;
}

function toStat(sizeBytes: number, { ETag, LastModified }: Dated): ObjectStat {
  const seconds = Math.floor((LastModified?.getTime() ?? 0) / 1000);
  return { sizeBytes, modifiedAt: new Date(seconds * 1000), identity: identityOf(ETag, LastModified) };
}

/** `bytes 0-4/10`: what came of the whole. A store may answer with all of it, as for a range that was not asked for. */
function extentOf({ ContentRange, ContentLength = 0 }: GetObjectCommandOutput): { came: number; whole: number } {
  const [, first, last, total] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(ContentRange ?? "") ?? [];
  if (total === undefined) return { came: ContentLength, whole: ContentLength };
  return { came: Number(last) - Number(first) + 1, whole: Number(total) };
}

/** By its metadata; or, where a store lost that in completing one upload twice at once, by the bytes that it then names. */
function isOurs({ ContentLength, Metadata, ETag }: HeadObjectCommandOutput, staged: StagedBytes): boolean {
  if (ContentLength !== staged.sizeBytes) return false;
  if (isOwnedBy(Metadata, staged)) return true;
  return !(METADATA.job in (Metadata ?? {})) && ETag === `"${expectedOf(staged)[1]}"`;
}

/** How many parts, the MD5 of all bytes, and what the parts' ETags come to (which an earlier version did not record). */
function expectedOf({ fingerprint }: StagedBytes): [count: number, md5: string, etags: string | undefined] {
  const [count, md5 = "", etags] = fingerprint.split(":");
  return [Number(count), md5, etags];
}

const etagsOf = (parts: readonly StoredPart[] | null): string =>
  sumOf(Buffer.from((parts ?? []).map(({ ETag }) => plainEtag(ETag)).join())).toString(16);

/** As S3 writes it. */
function crc32Of(bytes: Uint8Array): string {
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(Bun.hash.crc32(bytes));
  return sum.toString("base64");
}

/** Of a file that was begun anew and came out shorter, the parts behind its end are there too, and are never named. */
const firstParts = (parts: readonly StoredPart[] | null, count: number): readonly StoredPart[] | null =>
  parts?.filter(({ PartNumber = 0 }) => PartNumber <= count) ?? null;

class S3Backend implements StorageBackend {
  readonly name: string;
  readonly properties: BackendProperties;
  readonly #sdk: Sdk;
  readonly #client: S3Client;
  readonly #placement: Placement;
  readonly #uploads: Uploads;
  /** Only where the store is known to be like AWS's: others take no part twice, or want them all of one size. */
  readonly sendAhead?: NonNullable<StorageBackend["sendAhead"]>;
  /** There too: one that does not know the request takes it for an empty part. */
  readonly fillFrom?: NonNullable<StorageBackend["fillFrom"]>;

  constructor(options: S3Options, { sdk, client }: { sdk: Sdk; client: S3Client }) {
    this.name = options.name;
    this.properties = {
      type: "s3",
      readable: options.readable,
      writable: options.writable,
      publishing: "multipart",
      conditionalDelete: options.conditionalWrites,
      conditionalPublish: options.conditionalWrites,
      findsStaging: options.marks,
      inPlace: false,
    };
    this.#sdk = sdk;
    this.#client = client;
    this.#placement = makePlacement(options);
    this.#uploads = new Uploads(sdk, client, options);
    if (!options.marks) return;
    // Without sums a part that was given up and arrives late could not be told from what was sent for it.
    if (options.checksums) this.sendAhead = (staged, path, ahead) => this.#sendAhead(staged, path, ahead);
    this.fillFrom = (staged, source, copy) => this.#fillFrom(staged, source, copy);
  }

  stat(key: string, signal?: AbortSignal): Promise<ObjectStat | null> {
    return this.#do(key, signal, async (place) => {
      const head = await this.#head(place, signal);
      return head === null ? null : this.#statOf(head.ContentLength ?? 0, head);
    });
  }

  open(key: string, options: OpenOptions = {}): Promise<{ stat: ObjectStat; stream: ReadableStream<Uint8Array> }> {
    const { signal } = options;
    return this.#do(key, signal, async ({ bucket, object }) => {
      const range = rangeOf(options);
      if (range === null) return await this.#openNothing(key, options);
      const send = this.#client.send(
        new this.#sdk.GetObjectCommand({
          Bucket: bucket,
          Key: object,
          Range: range,
        }),
        aborting(signal),
      );
      const got = await orOn(S3_DIALECT, [416], null, send);
      // Nothing of the object lies in the range.
      if (got === null) return await this.#openNothing(key, options);
      const { came, whole } = extentOf(got);
      const stat = this.#statOf(whole, got);
      const body = got.Body?.transformToWebStream();
      if (body === undefined) throw unavailable(key);
      if (options.ifIdentity !== undefined && options.ifIdentity !== stat.identity) {
        await body.cancel();
        throw changed(key);
      }
      return { stat, stream: toStream(body, { key, sizeBytes: came, signal }) };
    });
  }

  async localPath(key: string): Promise<null> {
    this.#placement.locate(key);
    return null;
  }

  stage(key: string, owner: Owner, signal?: AbortSignal, mediaType = "application/octet-stream") {
    return this.#do(key, signal, async (place): Promise<StagedObject> => {
      const handle = await this.#uploads.begin(place, owner, mediaType, signal);
      return { backend: this.name, key, jobId: owner.jobId, leaseToken: owner.leaseToken, handle };
    });
  }

  fill(staged: StagedObject, filePath: string, options: FillOptions): Promise<StagedBytes> {
    const { signal, onBytes = () => {} } = options;
    return this.#do(staged.key, signal, async (place) => {
      const id = this.#idOf(staged);
      await using source = await openParts(filePath, await cutOf(filePath, options.ahead));
      let sent = 0;
      const parts = await sendParts(source, { atOnce: PARTS_AT_ONCE, signal }, async (part, partSignal) => {
        const isThere = options.ahead !== undefined && options.ahead.sums.get(part.number) === sumOf(part.bytes);
        if (!isThere) await this.#uploads.putPart(place, id, part, partSignal);
        sent += part.bytes.length;
        onBytes(sent);
        return crc32Of(part.bytes);
      });
      const stored = firstParts(await this.#uploads.parts(place, id, signal), parts.length);
      const sizeBytes = stored?.reduce((sum, part) => sum + part.sizeBytes, 0);
      if (sizeBytes !== source.sizeBytes) throw corrupt(staged.key, "kept other bytes than were sent for");
      // What was sent before the file changed, and given up as unanswered, may have arrived after what was sent for it.
      const isOther = ({ ChecksumCRC32 }: StoredPart, index: number) =>
        (ChecksumCRC32 ?? parts[index]) !== parts[index];
      if (stored?.some(isOther)) throw unavailable(staged.key);
      const fingerprint = `${parts.length}:${source.md5()}:${etagsOf(stored)}`;
      return { ...staged, sizeBytes, sha256: source.sha256(), fingerprint };
    });
  }

  #fillFrom(staged: StagedObject, source: CopySource, { signal }: CopyOptions): Promise<StagedBytes> {
    return this.#do(staged.key, signal, async (place) => {
      const from = this.#placement.locate(source.key);
      const head = await this.#head(from, signal);
      if (head === null || identityOf(head.ETag, head.LastModified) !== source.identity) throw changed(source.key);
      const id = this.#idOf(staged);
      const order = { from, etag: plainEtag(head.ETag), sizeBytes: source.sizeBytes, signal };
      const copied = this.#uploads.copyParts(place, id, order).then(() => true);
      if (!(await orOn(S3_DIALECT, [404, 412], false, copied))) throw changed(source.key);
      const stored = await this.#uploads.parts(place, id, signal);
      const sizeBytes = stored?.reduce((sum, part) => sum + part.sizeBytes, 0);
      if (sizeBytes !== source.sizeBytes) throw corrupt(staged.key, "copied other bytes than were meant for");
      return { ...staged, sizeBytes, sha256: source.sha256, fingerprint: `${stored?.length}::${etagsOf(stored)}` };
    });
  }

  #sendAhead(staged: StagedObject, filePath: string, options: AheadOptions): Promise<SentAhead> {
    return this.#do(staged.key, options.signal, async (place) => {
      const id = this.#idOf(staged);
      return await sendAheadParts(filePath, options, PARTS_AT_ONCE, (part, signal) =>
        this.#uploads.putPart(place, id, part, signal),
      );
    });
  }

  publish(staged: StagedBytes, { ifAbsent, signal }: { ifAbsent: boolean; signal?: AbortSignal }) {
    return this.#do(staged.key, signal, async (place): Promise<PublishOutcome> => {
      const id = this.#idOf(staged);
      const [count, , etags] = expectedOf(staged);
      const parts = firstParts(await this.#uploads.parts(place, id, signal), count);
      if (parts !== null) {
        if (parts.length !== count) throw corrupt(staged.key, "lost parts of");
        // The same, while it waited to be published.
        if (etags !== undefined && etags !== etagsOf(parts)) throw unavailable(staged.key);
        const taken = await this.#complete(place, id, { staged, parts, ifAbsent, signal });
        if (taken) return { outcome: "exists" };
      }
      for (const waitMs of [0, ...LOOK_AGAIN_MS]) {
        if (waitMs > 0) await Bun.sleep(waitMs);
        signal?.throwIfAborted();
        const settled = await this.settle(staged, signal);
        if (settled.state === "published") return { outcome: "published", identity: settled.identity };
      }
      return { outcome: "lost" };
    });
  }

  settle(staged: StagedBytes, signal?: AbortSignal): Promise<SettledState> {
    return this.#do(staged.key, signal, async (place): Promise<SettledState> => {
      // The upload first: looked for second, a completion in between would show in neither place.
      const isStaged = await this.#uploads.exists(place, this.#idOf(staged), signal);
      const head = await this.#head(place, signal);
      if (head !== null && isOurs(head, staged)) {
        return { state: "published", identity: identityOf(head.ETag, head.LastModified) };
      }
      return { state: isStaged ? "staged" : "lost" };
    });
  }

  abort(staged: StagedObject, signal?: AbortSignal): Promise<void> {
    return this.#do(staged.key, signal, async (place) => {
      if (staged.handle === "") await this.#uploads.abortMarked(place, staged, signal);
      else await this.#uploads.abort(place, this.#idOf(staged), signal);
    });
  }

  delete(key: string, identity: string, signal?: AbortSignal): Promise<boolean> {
    return this.#do(key, signal, async (place) => {
      const head = await this.#head(place, signal);
      if (head === null || identityOf(head.ETag, head.LastModified) !== identity) return false;
      const command = new this.#sdk.DeleteObjectCommand({
        ...{ Bucket: place.bucket, Key: place.object },
        ...(this.properties.conditionalDelete && head.ETag !== undefined ? { IfMatch: head.ETag } : {}),
      });
      const send = this.#client.send(command, aborting(signal));
      return (await orOn(S3_DIALECT, [404, 412], null, send)) !== null;
    });
  }

  list(prefix: string, limit: number, after?: string): Promise<readonly { key: string; stat: ObjectStat }[]> {
    return translated(S3_DIALECT, { key: prefix, signal: undefined }, async () => {
      const below = this.#placement.below(prefix);
      if (below === null) return [];
      const startAfter = after === undefined ? undefined : this.#placement.below(after)?.object;
      return await collectPages(limit, async (token: string | undefined) => {
        const page = await this.#client.send(
          new this.#sdk.ListObjectsV2Command({
            ...{ Bucket: below.bucket, Prefix: below.object, MaxKeys: Math.min(1000, limit + 1) },
            ...(startAfter === undefined ? {} : { StartAfter: startAfter }),
            ...(token === undefined ? {} : { ContinuationToken: token }),
          }),
        );
        const items = (page.Contents ?? []).flatMap(({ Key = "", Size = 0, ETag, LastModified }) => {
          const key = this.#placement.keyOf({ bucket: below.bucket, object: Key });
          const dated = { ...(ETag ? { ETag } : {}), ...(LastModified ? { LastModified } : {}) };
          return key === null ? [] : [{ key, stat: toStat(Size, dated) }];
        });
        return { items, next: page.IsTruncated === true ? page.NextContinuationToken : undefined };
      });
    });
  }

  presign(key: string, { expiresInSeconds, contentDisposition }: PresignOptions): Promise<string> {
    return this.#do(key, undefined, async ({ bucket, object }) => {
      const { getSignedUrl } = await import("@aws-sdk/s3-request-presigner");
      const input = { Bucket: bucket, Key: object, ResponseContentDisposition: contentDisposition };
      return await getSignedUrl(this.#client, new this.#sdk.GetObjectCommand(input), { expiresIn: expiresInSeconds });
    });
  }

  async freeBytes(): Promise<null> {
    return null;
  }

  async close(): Promise<void> {
    this.#client.destroy();
  }

  #do<T>(key: string, signal: AbortSignal | undefined, work: (place: Place) => Promise<T>): Promise<T> {
    return translated(S3_DIALECT, { key, signal }, () => work(this.#placement.locate(key)));
  }

  /** Other stores are not known to make their ETags as AWS does. */
  #statOf(sizeBytes: number, answer: Dated & Encrypted): ObjectStat {
    const md5 = this.fillFrom === undefined ? null : md5Of(answer);
    return { ...toStat(sizeBytes, answer), ...(md5 === null ? {} : { md5 }) };
  }

  #idOf(staged: StagedObject): string {
    const id = uploadIdOf(staged);
    if (id === null) throw new RendiffError({ kind: "internal", publicMessage: "A staged upload's id is malformed." });
    return id;
  }

  async #head({ bucket, object }: Place, signal?: AbortSignal): Promise<HeadObjectCommandOutput | null> {
    const command = new this.#sdk.HeadObjectCommand({ Bucket: bucket, Key: object });
    const head = await orOn(S3_DIALECT, [404], null, this.#client.send(command, aborting(signal)));
    // Where two completed one upload in the same moment, rclone may lose the bytes and go on naming the object, without a sum.
    if (head?.ContentLength && !plainEtag(head.ETag)) await this.#tryToRead({ bucket, object }, signal);
    return head;
  }

  /** Rejects when the store cannot give the first byte of an object that it names. */
  async #tryToRead({ bucket, object }: Place, signal?: AbortSignal): Promise<void> {
    const command = new this.#sdk.GetObjectCommand({ Bucket: bucket, Key: object, Range: "bytes=0-0" });
    const { Body } = await this.#client.send(command, aborting(signal));
    await Body?.transformToByteArray();
  }

  async #openNothing(key: string, { ifIdentity, signal }: OpenOptions) {
    const stat = await this.stat(key, signal);
    if (stat === null) throw notFound(key);
    if (ifIdentity !== undefined && ifIdentity !== stat.identity) throw changed(key);
    return { stat, stream: emptyStream() };
  }

  /** True when the key is taken and nothing was done. */
  async #complete(place: Place, id: string, { staged, parts, ifAbsent, signal }: Completion): Promise<boolean> {
    if (ifAbsent) {
      const head = await this.#head(place, signal);
      if (head !== null) return !isOurs(head, staged);
    }
    const conditional = ifAbsent && this.properties.conditionalPublish;
    try {
      await this.#uploads.complete(place, id, { parts, ifAbsent: conditional, signal });
      return false;
    } catch (error) {
      if (!conditional || S3_DIALECT.statusOf(error) !== 412) throw error;
      const head = await this.#head(place, signal);
      return head === null || !isOurs(head, staged);
    }
  }
}

interface Completion {
  readonly staged: StagedBytes;
  readonly parts: readonly StoredPart[];
  readonly ifAbsent: boolean;
  readonly signal: AbortSignal | undefined;
}

export async function openS3Backend(options: S3Options): Promise<StorageBackend> {
  return new S3Backend(options, await openClient(options));
}
