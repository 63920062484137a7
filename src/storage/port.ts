/**
 * The storage port: objects in named backends, staged where no reader looks and published in one act.
 *
 * `test/contract/storage.contract.ts` holds every adapter to these rules. Retries, rate limits, timeouts and metrics
 * are decorators (`decorators/`), never in an adapter. Errors are RendiffErrors: `input.not_found`, `storage.denied`,
 * `storage.corrupt` (never retried), `storage.unavailable` (retried with backoff), `resource.disk`.
 */

/** An object's place: the backend's configured name and a key inside it (`/`-separated, no leading slash, no `..`). */
export interface ObjectRef {
  readonly backend: string;
  readonly key: string;
}

export interface ObjectStat {
  readonly sizeBytes: number;
  readonly modifiedAt: Date;
  /** Changes whenever the bytes do (ETag, generation, inode:size:mtime). Opaque; compare for equality only. */
  readonly identity: string;
  /** Of its bytes, in hex, where the store vouches for it. A listing need not say it. */
  readonly md5?: string;
  /** False: only the whole can be read (a web server without ranges); `open` from the middle reads what is before it too. */
  readonly ranges?: false;
}

/** What the backend can do; contract tests are skipped by these names, never silently. */
export interface BackendProperties {
  readonly type: "local" | "s3" | "azure" | "gcs" | "http";
  /** What the operator allows jobs to do there. */
  readonly readable: boolean;
  readonly writable: boolean;
  /** `rename`/`multipart`: publishing consumes the staged bytes. `copy`: copied on condition, then the source deleted. */
  readonly publishing: "rename" | "multipart" | "copy" | "none";
  readonly conditionalDelete: boolean;
  /**
   * `ifAbsent` is decided by the store itself; else by a look right before, which only a stranger can outrun. Without it a
   * store may also lose an object that two processes publish in the very same moment; `publish` then rejects.
   */
  readonly conditionalPublish: boolean;
  /** `abort` with an empty handle finds staged bytes; else it can only wait until empty staging is surely abandoned. */
  readonly findsStaging: boolean;
  /** FFmpeg can read the object where it lies (`localPath` answers). */
  readonly inPlace: boolean;
}

/** Uploaded bytes that nobody can see yet. Plain data: it is stored in `staging` and in the job's manifest. */
export interface StagedObject {
  readonly backend: string;
  readonly key: string;
  /** Whose it is; a store that keeps metadata records both on the object. */
  readonly jobId: string;
  readonly leaseToken: number;
  /** The adapter's own handle: a hidden file's path below the root, an upload id, a staging key. Opaque. */
  readonly handle: string;
}

/** A staged object whose bytes are complete and verified. */
export interface StagedBytes extends StagedObject {
  readonly sizeBytes: number;
  readonly sha256: string;
  /** What the published object must look like, as far as the adapter can know it before publishing. Opaque. */
  readonly fingerprint: string;
}

export type SettledState =
  /** The key holds this job's and token's object. */
  | { readonly state: "published"; readonly identity: string }
  /** The staged bytes are still there and unpublished. */
  | { readonly state: "staged" }
  /** Neither: the staged bytes are gone and the key is absent or holds another's object. */
  | { readonly state: "lost" };

export interface OpenOptions {
  readonly startByte?: number;
  /** Exclusive. */
  readonly endByte?: number;
  /** Fails with `input.changed` when the object's identity is another by now. */
  readonly ifIdentity?: string;
  readonly signal?: AbortSignal;
}

export interface StorageBackend {
  readonly name: string;
  readonly properties: BackendProperties;
  /** Throws `request.invalid` for a key that can never be read here, without asking anyone. Absent: `problemOfKey` says all. */
  checkKey?(key: string): void;
  /** Null when there is no such object; rejects with `input.unreadable` where something else is (a folder, a device). */
  stat(key: string, signal?: AbortSignal): Promise<ObjectStat | null>;
  /** Rejects with `input.not_found` when there is no such object. Cancelling the stream frees everything. */
  open(key: string, options?: OpenOptions): Promise<{ stat: ObjectStat; stream: ReadableStream<Uint8Array> }>;
  /** The regular file that holds the object, symlinks resolved and checked against the root; null where not `inPlace`. */
  localPath(key: string): Promise<string | null>;
  /** Opens staging for `key`: after this call crash-safe clean-up needs only the returned value. Idempotent by nobody. */
  stage(
    key: string,
    owner: { jobId: string; leaseToken: number },
    signal?: AbortSignal,
    /** Of the object, where a store wants to know it before its bytes. */
    mediaType?: string,
  ): Promise<StagedObject>;
  /**
   * Reads a local file that nobody writes any more, and brings it to the disk: what takes the time of a `fill` that takes the
   * file itself, and can be done while the file is verified. Null where `fill` would copy the file; absent where its bytes
   * are sent in any case.
   */
  prepare?(filePath: string, signal?: AbortSignal): Promise<PreparedFile | null>;
  /**
   * Streams a local file's bytes into the staging, in bounded memory, and verifies what was stored against what was
   * sent. Called once per staged object. A backend that can may take the file itself (a link or rename on one disk);
   * the caller does not use the file afterwards. When it rejects, no bytes stay behind; the staging is aborted as ever.
   */
  fill(staged: StagedObject, filePath: string, options: FillOptions): Promise<StagedBytes>;
  /**
   * `fill` with the bytes of another object of this backend, which the store copies by itself. Rejects with `input.changed`
   * when the object is another by now. Whenever it rejects the staging is to be aborted. Absent where the store cannot do
   * that, or is not known to.
   */
  fillFrom?(staged: StagedObject, source: CopySource, options: CopyOptions): Promise<StagedBytes>;
  /**
   * Sends parts of a file that is still being written, as they become full. The first part waits, since many muxers write it
   * anew at their end; `fill`, with what this gives, sends it and whatever has changed since. A file that is only shifted by
   * an index put in front of its media has not changed. Never rejects but for its signal: what could not be sent is left to
   * `fill`. Absent where nothing can be sent before the file is whole.
   */
  sendAhead?(staged: StagedObject, filePath: string, options: AheadOptions): Promise<SentAhead>;
  /**
   * Makes the staged bytes visible under their key, replacing what is there, in one step. Idempotent: doing it twice,
   * or after a crash in the middle, ends the same. `lost` when there was nothing left to publish.
   * With `ifAbsent` an existing foreign object is left alone and `exists` is returned.
   */
  publish(staged: StagedBytes, options: { ifAbsent: boolean; signal?: AbortSignal }): Promise<PublishOutcome>;
  /** Looks without changing anything. */
  settle(staged: StagedBytes, signal?: AbortSignal): Promise<SettledState>;
  /**
   * Removes staged bytes; never touches the published object. Idempotent. With an empty handle, for when only the intent
   * was recorded, it removes whatever this job and token have staged for this key.
   */
  abort(staged: StagedObject, signal?: AbortSignal): Promise<void>;
  /** Deletes the very object with this identity; false when it is absent or another by now. */
  delete(key: string, identity: string, signal?: AbortSignal): Promise<boolean>;
  /** Keys below a prefix, in order, at most `limit`, staging excluded; pass the last key to go on. */
  list(prefix: string, limit: number, after?: string): Promise<readonly { key: string; stat: ObjectStat }[]>;
  /** A URL under which the store itself serves the object for a while, to be saved as `fileName`; null where it cannot. */
  presign(key: string, options: PresignOptions): Promise<string | null>;
  /** Free bytes where staged objects lie, or null where that has no meaning. */
  freeBytes(): Promise<number | null>;
  close(): Promise<void>;
}

export interface PresignOptions {
  readonly expiresInSeconds: number;
  /** The header's value. */
  readonly contentDisposition: string;
}

/** A file that somebody writes. */
export interface Growing {
  /** Resolves when it may have grown; to true when it is whole. */
  next(signal: AbortSignal): Promise<boolean>;
}

export interface AheadOptions {
  readonly growing: Growing;
  /** What the file may come to. */
  readonly sizeBytesMax: number;
  readonly signal: AbortSignal;
}

/** The parts that a store has of a file, and what they hold. */
export interface SentAhead {
  readonly partBytes: number;
  /** By number, from 2 on: the XXH3 of the bytes that were sent. */
  readonly sums: ReadonlyMap<number, bigint>;
  /** Why no more were sent; null where nothing went wrong. */
  readonly problem: unknown;
}

/** A file as `prepare` has found it. */
export interface PreparedFile {
  /** Changes with its bytes. */
  readonly identity: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

export interface FillOptions {
  readonly mediaType: string;
  readonly ahead?: SentAhead;
  /** Believed of the very file only: one that was written since is read again. */
  readonly prepared?: PreparedFile;
  readonly signal?: AbortSignal;
  onBytes?(totalBytes: number): void;
}

/** A published object, as it was published. */
export interface CopySource {
  readonly key: string;
  readonly identity: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

export type CopyOptions = Pick<FillOptions, "mediaType" | "signal">;

export type PublishOutcome =
  | { readonly outcome: "published"; readonly identity: string }
  | { readonly outcome: "exists" | "lost" };

/** The backends of this deployment by name. Built once at start by `boot`. */
export interface StorageRegistry {
  readonly names: readonly string[];
  /** Rejects with `request.unsupported` naming the backend when there is none. */
  backend(name: string): StorageBackend;
}
