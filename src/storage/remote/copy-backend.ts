/**
 * Publishing where a store has neither an upload to complete nor a rename: the staged bytes are a hidden object beside
 * their destination, copied onto it on condition that it is still what was seen there, and then deleted.
 *
 * The hidden object is deleted before publishing counts as done, not after the commit: a copy of a frozen predecessor
 * that lands later finds no source, and so can overwrite nothing.
 */
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
import { changed, corrupt, type Dialect, notFound, orOn, translated, unavailable } from "./errors.ts";
import {
  hiddenKey,
  isOwnedBy,
  makePlacement,
  type Owner,
  type Place,
  type Placement,
  type PlacementOptions,
} from "./placement.ts";
import { emptyStream, toStream } from "./read.ts";

export interface ObjectHead {
  readonly stat: ObjectStat;
  readonly metadata: Readonly<Record<string, unknown>>;
}

export interface RangedBody {
  readonly body: ReadableStream<Uint8Array>;
  /** Of the whole object, as this answer says; null when it did not. */
  readonly wholeBytes: number | null;
}

export interface StoredBytes {
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly identity: string;
}

export interface PutOptions extends FillOptions {
  readonly owner: Owner;
}

export interface CopyOrder {
  readonly from: Place;
  readonly fromIdentity: string;
  readonly to: Place;
  /** What must lie there; null: nothing. */
  readonly toIdentity: string | null;
  /** What the copy is to be, where it is to be another's than the source: else it is all that the source is. */
  readonly as?: { readonly owner: Owner; readonly mediaType: string };
  readonly signal: AbortSignal | undefined;
}

/** What a store has to do; each call throws its SDK's errors, which `dialect` reads. */
export interface CopyStore {
  readonly dialect: Dialect;
  /** Without metadata while the object is still being copied to. */
  head(place: Place, signal?: AbortSignal): Promise<ObjectHead | null>;
  /** `endByte` is exclusive. Fails with 404 or 412 when the object is another by now, with 416 when it has no such byte. */
  read(
    place: Place,
    identity: string,
    range: { startByte: number; endByte: number },
    signal?: AbortSignal,
  ): Promise<RangedBody>;
  /** All or nothing; the sums of both ends are compared. */
  put(place: Place, filePath: string, options: PutOptions): Promise<StoredBytes>;
  /** As of the port; `put` goes on in the same place. */
  sendAhead?(place: Place, filePath: string, options: AheadOptions): Promise<SentAhead>;
  /** Ended when it resolves. Fails with 404 when the source is gone, with 409 or 412 when the destination is another. */
  copy(order: CopyOrder): Promise<void>;
  /** False when there is no such object. `identity` null: whatever is there, what is not an object yet included. */
  remove(place: Place, identity: string | null, signal?: AbortSignal): Promise<boolean>;
  list(place: Place, limit: number, after: string | null): Promise<readonly { object: string; stat: ObjectStat }[]>;
  /** Null where the credentials cannot sign. */
  presign(place: Place, options: PresignOptions): Promise<string | null>;
  close(): Promise<void>;
}

export interface CopyBackendOptions extends PlacementOptions {
  readonly name: string;
  readonly type: BackendProperties["type"];
  readonly readable: boolean;
  readonly writable: boolean;
  readonly conditionalWrites: boolean;
}

const GONE = [404, 412];
/** Looks at a destination that others change, or at a publish that another process is in the middle of. */
const LOOKS_MAX = 6;
const LOOK_AGAIN_MS = [0, 20, 50, 100, 200, 400];

class CopyBackend implements StorageBackend {
  readonly name: string;
  readonly properties: BackendProperties;
  readonly #store: CopyStore;
  readonly #placement: Placement;
  readonly sendAhead?: NonNullable<StorageBackend["sendAhead"]>;

  constructor(options: CopyBackendOptions, store: CopyStore) {
    this.name = options.name;
    this.properties = {
      type: options.type,
      readable: options.readable,
      writable: options.writable,
      publishing: "copy",
      conditionalDelete: options.conditionalWrites,
      conditionalPublish: options.conditionalWrites,
      findsStaging: true,
      inPlace: false,
    };
    this.#store = store;
    this.#placement = makePlacement(options);
    const ahead = store.sendAhead?.bind(store);
    if (ahead === undefined) return;
    this.sendAhead = (staged, path, { signal, ...rest }) =>
      this.#do(staged.key, signal, () => ahead(this.#hidden(staged), path, { signal, ...rest }));
  }

  stat(key: string, signal?: AbortSignal): Promise<ObjectStat | null> {
    return this.#do(key, signal, async (place) => (await this.#store.head(place, signal))?.stat ?? null);
  }

  open(key: string, options: OpenOptions = {}): Promise<{ stat: ObjectStat; stream: ReadableStream<Uint8Array> }> {
    const { signal, ifIdentity, startByte = 0 } = options;
    return this.#do(key, signal, async (place) => {
      for (let look = 1; ; look++) {
        const stat = (await this.#store.head(place, signal))?.stat;
        if (stat === undefined) throw notFound(key);
        if (ifIdentity !== undefined && ifIdentity !== stat.identity) throw changed(key);
        const endByte = Math.min(options.endByte ?? stat.sizeBytes, stat.sizeBytes);
        if (startByte >= endByte && stat.sizeBytes > 0) return { stat, stream: emptyStream() };
        const range = { startByte, endByte: Math.max(endByte, startByte + 1) };
        const found = await this.#read(place, stat, range, signal);
        if (found === "empty") return { stat, stream: emptyStream() };
        if (found !== null) return { stat, stream: toStream(found, { key, sizeBytes: endByte - startByte, signal }) };
        // Replaced between the two requests: another object, and as good unless one was meant.
        if (ifIdentity !== undefined || look === LOOKS_MAX) throw changed(key);
      }
    });
  }

  async localPath(key: string): Promise<null> {
    this.#placement.locate(key);
    return null;
  }

  /** Nothing is written: the name follows from the owner and is free, because tokens are never given twice. */
  stage(key: string, { jobId, leaseToken }: Owner, signal?: AbortSignal): Promise<StagedObject> {
    return this.#do(key, signal, async () => {
      const handle = hiddenKey(key, { jobId, leaseToken });
      return { backend: this.name, key, jobId, leaseToken, handle };
    });
  }

  fill(staged: StagedObject, filePath: string, options: FillOptions): Promise<StagedBytes> {
    return this.#do(staged.key, options.signal, async () => {
      const put = { ...options, owner: staged };
      const { sizeBytes, sha256, identity } = await this.#store.put(this.#hidden(staged), filePath, put);
      const head = await this.#store.head(this.#hidden(staged), options.signal);
      if (head?.stat.sizeBytes !== sizeBytes || head.stat.identity !== identity) {
        throw corrupt(staged.key, "kept other bytes than were sent for");
      }
      return { ...staged, sizeBytes, sha256, fingerprint: identity };
    });
  }

  fillFrom(staged: StagedObject, source: CopySource, { mediaType, signal }: CopyOptions): Promise<StagedBytes> {
    return this.#do(staged.key, signal, async () => {
      const [from, to] = [this.#placement.locate(source.key), this.#hidden(staged)];
      const order: CopyOrder = {
        ...{ from, fromIdentity: source.identity, to, toIdentity: null, signal },
        as: { owner: staged, mediaType },
      };
      const copied = this.#store.copy(order).then(() => true);
      if (!(await orOn(this.#store.dialect, GONE, false, copied))) throw changed(source.key);
      const head = await this.#store.head(to, signal);
      if (head?.stat.sizeBytes !== source.sizeBytes || !isOwnedBy(head.metadata, staged)) {
        throw corrupt(staged.key, "copied other bytes than were meant for");
      }
      const { sizeBytes, identity } = head.stat;
      return { ...staged, sizeBytes, sha256: source.sha256, fingerprint: identity };
    });
  }

  publish(staged: StagedBytes, { ifAbsent, signal }: { ifAbsent: boolean; signal?: AbortSignal }) {
    return this.#do(staged.key, signal, async (place): Promise<PublishOutcome> => {
      const hidden = this.#hidden(staged);
      for (let look = 0; look < LOOKS_MAX; look++) {
        signal?.throwIfAborted();
        await Bun.sleep(LOOK_AGAIN_MS[look] ?? 0);
        const source = await this.#store.head(hidden, signal);
        const destination = await this.#store.head(place, signal);
        if (destination !== null && isPublished(destination, staged)) {
          if (source !== null) await this.#store.remove(hidden, staged.fingerprint, signal);
          return { outcome: "published", identity: destination.stat.identity };
        }
        if (source?.stat.identity !== staged.fingerprint) continue;
        if (ifAbsent && destination !== null) return { outcome: "exists" };
        const toIdentity = destination?.stat.identity ?? null;
        await this.#copy({ from: hidden, fromIdentity: staged.fingerprint, to: place, toIdentity, signal });
      }
      return { outcome: "lost" };
    });
  }

  settle(staged: StagedBytes, signal?: AbortSignal): Promise<SettledState> {
    return this.#do(staged.key, signal, async (place): Promise<SettledState> => {
      // The source first: looked for second, a publish in between would show in neither place.
      const source = await this.#store.head(this.#hidden(staged), signal);
      const destination = await this.#store.head(place, signal);
      if (destination !== null && isPublished(destination, staged)) {
        return { state: "published", identity: destination.stat.identity };
      }
      return { state: source?.stat.identity === staged.fingerprint ? "staged" : "lost" };
    });
  }

  abort(staged: StagedObject, signal?: AbortSignal): Promise<void> {
    return this.#do(staged.key, signal, async () => {
      await this.#store.remove(this.#hidden(staged), null, signal);
    });
  }

  delete(key: string, identity: string, signal?: AbortSignal): Promise<boolean> {
    return this.#do(key, signal, async (place) => {
      const head = await this.#store.head(place, signal);
      return head?.stat.identity === identity && (await this.#store.remove(place, identity, signal));
    });
  }

  list(prefix: string, limit: number, after?: string): Promise<readonly { key: string; stat: ObjectStat }[]> {
    return translated(this.#store.dialect, { key: prefix, signal: undefined }, async () => {
      const below = this.#placement.below(prefix);
      if (below === null) return [];
      const found: { key: string; stat: ObjectStat }[] = [];
      let last = after === undefined ? null : (this.#placement.below(after)?.object ?? null);
      while (found.length < limit) {
        const page = await this.#store.list(below, Math.max(limit, 100), last);
        for (const { object, stat } of page) {
          const key = this.#placement.keyOf({ bucket: below.bucket, object });
          if (key !== null) found.push({ key, stat });
        }
        last = page.at(-1)?.object ?? null;
        if (last === null) break;
      }
      return found.slice(0, limit);
    });
  }

  presign(key: string, options: PresignOptions): Promise<string | null> {
    return this.#do(key, undefined, (place) => this.#store.presign(place, options));
  }

  async freeBytes(): Promise<null> {
    return null;
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  #do<T>(key: string, signal: AbortSignal | undefined, work: (place: Place) => Promise<T>): Promise<T> {
    return translated(this.#store.dialect, { key, signal }, () => work(this.#placement.locate(key)));
  }

  /** A handle comes from a row: only what `stage` could have given is believed. */
  #hidden(staged: StagedObject): Place {
    const expected = hiddenKey(staged.key, staged);
    if (staged.handle !== "" && staged.handle !== expected) {
      throw new RendiffError({ kind: "internal", publicMessage: "A staged object's handle is malformed." });
    }
    return this.#placement.locateHidden(staged.key, expected);
  }

  /** Null when the object is gone or another. The two answers about one object have to agree on its size. */
  async #read(place: Place, stat: ObjectStat, range: { startByte: number; endByte: number }, signal?: AbortSignal) {
    const read = this.#store.read(place, stat.identity, range, signal);
    const answer = await orOn(
      this.#store.dialect,
      GONE,
      null,
      orOn(this.#store.dialect, [416], "empty" as const, read),
    );
    if (answer === null) return null;
    const wholeBytes = answer === "empty" ? 0 : answer.wholeBytes;
    if (wholeBytes === null || wholeBytes === stat.sizeBytes) return answer === "empty" ? answer : answer.body;
    if (answer !== "empty") await answer.body.cancel();
    throw unavailable(place.object, new Error(`It has ${stat.sizeBytes} or ${wholeBytes} bytes.`));
  }

  /** What came of it is for the next look to say: the answer of a copy may be lost, and others publish too. */
  async #copy(order: CopyOrder): Promise<void> {
    try {
      await this.#store.copy(order);
    } catch (error) {
      if (![409, ...GONE].includes(this.#store.dialect.statusOf(error) ?? 0)) throw error;
    }
  }
}

const isPublished = ({ stat, metadata }: ObjectHead, staged: StagedBytes): boolean =>
  isOwnedBy(metadata, staged) && stat.sizeBytes === staged.sizeBytes;

export const makeCopyBackend = (options: CopyBackendOptions, store: CopyStore): StorageBackend =>
  new CopyBackend(options, store);
