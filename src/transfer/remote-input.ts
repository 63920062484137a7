/**
 * An input that lies elsewhere, of which only what is needed is fetched: enough of both ends to know what it is (in a file of
 * its full length with a hole in it, which FFmpeg's prober reads like the whole), then either the rest into that file, or
 * everything in order for a pipe.
 */
import { open, truncate } from "node:fs/promises";
import { RendiffError } from "../errors.ts";
import { findLayout, type Layout } from "../media/layout.ts";
import type { ObjectStat, StorageBackend } from "../storage/port.ts";
import { download } from "./download.ts";
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
   * All bytes in order, what is there already from the file; ends with `storage.corrupt` when they are not what the store says.
   * Nothing more is written to the file.
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

const damaged = (): RendiffError =>
  new RendiffError({
    kind: "storage.corrupt",
    publicMessage: "The input's bytes came otherwise than its storage says that they are.",
  });

/** Ranges are not covered by what a store's client checks: the whole is held against what the store says of it. */
async function requireSum(path: string, { md5 }: ObjectStat, signal: AbortSignal): Promise<void> {
  if (md5 === undefined) return;
  const hasher = new Bun.CryptoHasher("md5");
  for await (const part of fileParts(path, Number.POSITIVE_INFINITY)) {
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

/** To `end`, or to the end of the file. */
async function* fileParts(path: string, end: number): AsyncGenerator<Uint8Array> {
  const file = await open(path, "r");
  try {
    for (let at = 0; at < end; ) {
      const buffer = new Uint8Array(Math.min(CHUNK_BYTES, end - at));
      const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0 && end === Number.POSITIVE_INFINITY) return;
      if (bytesRead === 0) throw new Error("The head of an input became shorter.");
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

/** Fetches the beginning, and the end where it matters. A small object is whole by then, and so is one without ranges. */
export async function openRemote({ backend, key, stat, path, signal, reserve }: OpenRemote): Promise<RemoteInput> {
  const { sizeBytes } = stat;
  async function fetch(startByte: number, endByte: number, until: AbortSignal, onBytes?: (total: number) => void) {
    await reserve(endByte - startByte);
    await download({ backend, key, stat, path, startByte, endByte, signal: until, ...(onBytes && { onBytes }) });
  }
  let head = 0;
  let tail = 0;
  const growTo = async (bytes: number, until: AbortSignal): Promise<void> => {
    const end = stat.ranges === false ? sizeBytes : Math.min(sizeBytes, Math.ceil(bytes));
    if (end > head) await fetch(head, end, until);
    head = Math.max(head, end);
  };

  await growTo(HEAD_BYTES, signal);
  const look = async (): Promise<Layout> =>
    findLayout({
      head: await readFilePart(path, 0, Math.min(head, MEASURED_HEAD_BYTES)),
      tail: await readFilePart(path, Math.max(0, sizeBytes - TAIL_BYTES), sizeBytes),
      sizeBytes,
    });
  let layout = await look();
  if (layout.streams && MEASURED.has(layout.container)) await growTo(MEASURED_HEAD_BYTES, signal);
  if (head < sizeBytes) await truncate(path, sizeBytes);
  if (layout.streams && WITH_TAIL.has(layout.container) && head < sizeBytes) {
    tail = Math.min(TAIL_BYTES, sizeBytes - head);
    await fetch(sizeBytes - tail, sizeBytes, signal);
    layout = await look();
  }

  if (head >= sizeBytes) await requireSum(path, stat, signal);
  async function* inOrder(until: AbortSignal): AsyncGenerator<Uint8Array> {
    yield* fileParts(path, head);
    yield* readParts({ backend, key, stat, startByte: head, signal: until });
  }

  return {
    stat,
    layout,
    isWhole: () => head >= sizeBytes,
    fetchedBytes: () => Math.min(sizeBytes, head + tail),
    async grow(until) {
      await growTo(head * 4, until);
      if (head >= sizeBytes) await requireSum(path, stat, until);
    },
    async complete(until, onBytes) {
      if (head < sizeBytes) {
        await fetch(head, sizeBytes, until, onBytes);
        await requireSum(path, stat, until);
      }
      head = sizeBytes;
    },
    read: (until) => withSum(inOrder(until), stat),
  };
}
