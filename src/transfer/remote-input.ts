/**
 * An input that lies elsewhere, of which only what is needed is fetched: enough of both ends to know what it is (in a file of
 * its full length with a hole in it, which FFmpeg's prober reads like the whole), then either the rest into that file, or
 * everything in order for a pipe.
 */
import { open, truncate } from "node:fs/promises";
import { RendiffError } from "../errors.ts";
import { findLayout, type Layout } from "../media/layout.ts";
import { type MovedIndex, moveIndex, withMovedIndex } from "../media/move-index.ts";
import type { ObjectStat, StorageBackend } from "../storage/port.ts";
import { type Download, download } from "./download.ts";
import { readAhead } from "./read-ahead.ts";
import { readParts } from "./read-parts.ts";

export interface RemoteInput {
  readonly stat: ObjectStat;
  readonly layout: Layout;
  /** The whole lies in the file. */
  isWhole(): boolean;
  /** Bytes of the object fetched so far. */
  fetchedBytes(): number;
  /** Fetches four times as much of the front as is there. */
  grow(signal: AbortSignal): Promise<void>;
  /** Fetches what is missing; rejects with `storage.corrupt` when the whole is not what the store says. */
  complete(signal: AbortSignal, onBytes?: (total: number) => void): Promise<void>;
  /**
   * All bytes in order, but for an index at the end that is moved to the front; what is there already from the file. Ends with `storage.corrupt` when they are not what the store says.
   * Nothing more is written to the file. Fetching begins at once, and goes on until the signal aborts when nobody reads.
   */
  read(signal: AbortSignal): AsyncGenerator<Uint8Array>;
}

export interface OpenRemote {
  readonly backend: StorageBackend;
  readonly key: string;
  readonly stat: ObjectStat;
  /** Absolute; must not exist. */
  readonly path: string;
  readonly signal: AbortSignal;
  /** Asked before bytes are fetched into the file, for room for just these; rejects where there is none. */
  readonly reserve: (bytes: number) => Promise<void>;
}

/** As a plan sees it: what is whole already is not streamed. */
export const layoutOf = (remote: RemoteInput): Layout =>
  remote.isWhole() ? { streams: false, reason: "it was fetched whole to be looked at" } : remote.layout;

const MIB = 1024 * 1024;
/** Enough for an index of an hour, and for a second of most films. */
const HEAD_BYTES = MIB;
/** Containers whose rates are measured from their packets, since they state none. */
const MEASURED_HEAD_BYTES = 4 * MIB;
const MEASURED = new Set(["ts", "mkv", "webm"]);
/** Where transport streams' last times and sounds' old tags are. */
const TAIL_BYTES = MIB;
const WITH_TAIL = new Set(["ts", "mp3"]);
const CHUNK_BYTES = 256 * 1024;
/** What a fast line brings while FFmpeg starts. */
const AHEAD_BYTES = 8 * MIB;

const damaged = (): RendiffError =>
  new RendiffError({
    kind: "storage.corrupt",
    publicMessage: "The input's bytes came otherwise than its storage says that they are.",
  });

/** Ranges are not covered by what a store's client checks: the whole is held against what the store says of it. */
async function requireSum(path: string, { md5, sizeBytes }: ObjectStat, signal: AbortSignal): Promise<void> {
  if (md5 === undefined) return;
  const hasher = new Bun.CryptoHasher("md5");
  for await (const part of fileParts(path, 0, sizeBytes)) {
    signal.throwIfAborted();
    hasher.update(part);
  }
  if (hasher.digest("hex") !== md5) throw damaged();
}

async function* withSum(parts: AsyncIterable<Uint8Array>, { md5 }: ObjectStat): AsyncGenerator<Uint8Array> {
  const hasher = new Bun.CryptoHasher("md5");
  for await (const part of parts) {
    if (md5 !== undefined) hasher.update(part);
    yield part;
  }
  if (md5 !== undefined && hasher.digest("hex") !== md5) throw damaged();
}

async function readFilePart(path: string, start: number, end: number): Promise<Uint8Array> {
  return await Bun.file(path).slice(start, end).bytes();
}

async function* fileParts(path: string, start: number, end: number): AsyncGenerator<Uint8Array> {
  const file = await open(path, "r");
  try {
    for (let at = start; at < end; ) {
      const buffer = new Uint8Array(Math.min(CHUNK_BYTES, end - at));
      const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) throw new Error("What was fetched of an input became shorter.");
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

/** Longer ones are rather fetched with the whole: an index of many hours has some ten of them. */
const INDEX_BYTES_MAX = 32 * MIB;

/** What of the object lies in the file: up to `head`, and from `tail` on. */
interface Extent {
  head: number;
  tail: number;
}

class Remote implements RemoteInput {
  readonly stat: ObjectStat;
  layout: Layout = { streams: false, reason: "it was not looked at" };
  readonly #from: OpenRemote;
  readonly #extent: Extent;
  #moved: MovedIndex | null = null;

  constructor(from: OpenRemote) {
    this.stat = from.stat;
    this.#from = from;
    this.#extent = { head: 0, tail: from.stat.sizeBytes };
  }

  isWhole(): boolean {
    return this.#extent.head >= this.#extent.tail;
  }

  fetchedBytes(): number {
    const { head, tail } = this.#extent;
    return Math.min(this.stat.sizeBytes, head + this.stat.sizeBytes - tail);
  }

  grow(signal: AbortSignal): Promise<void> {
    return this.#growTo(this.#extent.head * 4, signal);
  }

  complete(signal: AbortSignal, onBytes?: (total: number) => void): Promise<void> {
    return this.#growTo(this.stat.sizeBytes, signal, onBytes);
  }

  read(signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const parts = withSum(this.#inOrder(signal), this.stat);
    return this.#moved === null ? parts : withMovedIndex(parts, this.#moved);
  }

  /** Fetches what says how it lies. */
  async open(): Promise<void> {
    const { signal, path } = this.#from;
    const { sizeBytes } = this.stat;
    await this.#growTo(HEAD_BYTES, signal);
    await this.#look();
    if (this.layout.streams && MEASURED.has(this.layout.container)) await this.#growTo(MEASURED_HEAD_BYTES, signal);
    if (this.isWhole()) return;
    await truncate(path, sizeBytes);
    if (this.layout.streams && WITH_TAIL.has(this.layout.container)) {
      await this.#fetchTail(sizeBytes - TAIL_BYTES);
      await this.#look();
    } else if (!this.layout.streams && this.layout.media !== undefined) {
      await this.#moveIndex(this.layout.media);
    }
  }

  async #moveIndex({ start, end }: { readonly start: number; readonly end: number }): Promise<void> {
    const { sizeBytes } = this.stat;
    if (sizeBytes - end > INDEX_BYTES_MAX) return;
    await this.#fetchTail(end);
    const rest = await readFilePart(this.#from.path, end, sizeBytes);
    this.#moved = moveIndex({ mediaAt: start, rest, restAt: end });
    if (this.#moved !== null) this.layout = { streams: true, container: "mp4" };
  }

  async #look(): Promise<void> {
    const { path } = this.#from;
    const { sizeBytes } = this.stat;
    const head = await readFilePart(path, 0, Math.min(this.#extent.head, MEASURED_HEAD_BYTES));
    const tail = await readFilePart(path, Math.max(0, sizeBytes - TAIL_BYTES), sizeBytes);
    this.layout = findLayout({ head, tail, sizeBytes });
  }

  async #fetch(range: Pick<Download, "startByte" | "endByte" | "signal" | "onBytes">): Promise<void> {
    const { backend, key, path, reserve } = this.#from;
    const { startByte = 0, endByte = 0 } = range;
    await reserve(endByte - startByte);
    await download({ backend, key, stat: this.stat, path, ...range });
  }

  async #growTo(bytes: number, signal: AbortSignal, onBytes?: (total: number) => void): Promise<void> {
    const { tail, head } = this.#extent;
    const end = this.stat.ranges === false ? tail : Math.min(tail, Math.ceil(bytes));
    if (end <= head) return;
    await this.#fetch({ startByte: head, endByte: end, signal, ...(onBytes && { onBytes }) });
    if (end >= tail) await requireSum(this.#from.path, this.stat, signal);
    this.#extent.head = end;
  }

  async #fetchTail(from: number): Promise<void> {
    const start = Math.max(this.#extent.head, from);
    const { sizeBytes } = this.stat;
    if (start < sizeBytes) await this.#fetch({ startByte: start, endByte: sizeBytes, signal: this.#from.signal });
    this.#extent.tail = start;
    if (this.isWhole()) await requireSum(this.#from.path, this.stat, this.#from.signal);
  }

  #inOrder(signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const { path, backend, key } = this.#from;
    const { sizeBytes } = this.stat;
    const { head, tail } = this.#extent;
    const missing = readParts({ backend, key, stat: this.stat, startByte: head, endByte: tail, signal });
    const ahead = readAhead(missing, AHEAD_BYTES, signal);
    return (async function* () {
      yield* fileParts(path, 0, head);
      yield* ahead;
      yield* fileParts(path, Math.max(head, tail), sizeBytes);
    })();
  }
}

/** Fetches the beginning, and the end where it matters. A small object is whole by then, and so is one without ranges. */
export async function openRemote(from: OpenRemote): Promise<RemoteInput> {
  const remote = new Remote(from);
  await remote.open();
  return remote;
}
