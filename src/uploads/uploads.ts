/**
 * Receiving uploads: begin one, write its bytes, take it up again, delete it.
 *
 * Who writes holds the row (`src/jobs/uploads.ts`) and renews that while bytes come; nobody else writes meanwhile, on any
 * replica. Who wants to write asks the present writer over the bus to come to an end, since a client that comes back has
 * often lost a connection that the server still believes in, and waits for it: until its time runs out if it died. A writer
 * that could not renew in time stops by itself.
 *
 * How much there is, is the length of the file: a process that was killed had written more than its row says.
 */
import { type Bus, channels } from "../coordination/ports.ts";
import type { Sql, SqlRunner } from "../database/sql.ts";
import { RendiffError } from "../errors.ts";
import {
  bytesToCome,
  completeUpload,
  declareSize,
  deletedUploads,
  forgetUpload,
  getUpload,
  insertUpload,
  markDeleted,
  markExpiredUploads,
  type NewUpload,
  releaseAllWriters,
  releaseWriter,
  renewWriter,
  takeWriter,
  tooLargeUpload,
  type Upload,
} from "../jobs/uploads.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { OnBytes, UploadBytes } from "./bytes.ts";

export interface UploadsPorts {
  readonly sql: Sql;
  readonly bus: Bus;
  readonly logger: Pick<Logger, "warn">;
  readonly bytes: UploadBytes;
  /** Of the disk that uploads lie on; null where that is not known. */
  freeBytes(): Promise<number | null>;
  readonly limitBytes: number;
  /** How long an upload is kept from its last byte on. */
  readonly keepMs: number;
  readonly timing?: WriterTiming;
}

export interface WriterTiming {
  /** A writer that is not heard of for so long is gone. */
  readonly ttlMs: number;
  readonly renewMs: number;
  /** How long one waits for another to end. */
  readonly waitMs: number;
  readonly lookMs: number;
}

const TIMING: WriterTiming = { ttlMs: 6_000, renewMs: 1_500, waitMs: 10_000, lookMs: 100 };
/** What breaks off cannot be taken up again and is of no use. */
const KEEP_UNRESUMABLE_MS = 10 * 60_000;
/** Left free beside what uploads have yet to take: the disk has other users. */
const SPARE_BYTES = 64 * 1024 * 1024;
/** The uploads whose room is counted have to be in the database before the next one counts. */
const ROOM_LOCK = 7_210_022;

export type Begin = Omit<NewUpload, "keepMs">;
export type OnCreated = (tx: SqlRunner, upload: Upload) => Promise<void>;

export interface UploadWriter {
  /** As it is now. */
  readonly upload: Upload;
  /**
   * Appends and, when that was the last byte of a known size, completes it. Resolves to the new offset; rejects with
   * `request.too_large`, `resource.disk`, `request.conflict` when another took over, or with what `chunks` throws. What was
   * written before stays, and is counted.
   */
  receive(chunks: AsyncIterable<Uint8Array>): Promise<number>;
  /** Of one whose size was not known. */
  declare(sizeBytes: number): Promise<void>;
  /** What there is, is all. */
  complete(): Promise<Upload>;
  /** Throws `request.conflict` while a job needs it. */
  remove(): Promise<void>;
  /** Lets others write. Idempotent; nothing is written after it. */
  release(): Promise<void>;
}

export interface Uploads {
  readonly limitBytes: number;
  readonly keepMs: number;
  /** Throws `request.too_large`, `request.quota_exceeded` or `resource.disk`. `onCreated` runs in its transaction. */
  begin(upload: Begin, onCreated?: OnCreated): Promise<Upload>;
  /**
   * The right to write it, for one that is being received; a complete one is only looked at or removed. `onWanted`: somebody
   * else wants it. Null when there is no such upload; throws `request.conflict` when it stays another's.
   */
  open(upload: Pick<Upload, "id">, onWanted: () => void, signal: AbortSignal): Promise<UploadWriter | null>;
  /** As much of it as there is now, whoever writes it. */
  look(upload: Upload): Promise<Upload>;
  /**
   * Marks what has expired and takes the bytes of what was deleted away, at most `limit` of each; resolves to how many are
   * gone. Each is tried whatever becomes of the others; rejects with the first error at the end.
   */
  sweep(limit: number): Promise<number>;
  /** To be called once by a process that knows that it is alone: nobody writes yet. */
  recover(): Promise<void>;
  close(): Promise<void>;
}

const conflict = (publicMessage: string, cause?: unknown): RendiffError =>
  new RendiffError({ kind: "request.conflict", publicMessage, retryAfterSeconds: 1, cause });

const overLength = (sizeBytes: number): RendiffError =>
  new RendiffError({
    kind: "request.too_large",
    publicMessage: `More bytes came than the ${sizeBytes} that the upload was said to have.`,
  });

const takenOver = (): RendiffError => conflict("Another request writes this upload now.");

const noRoom = (): RendiffError =>
  new RendiffError({
    kind: "resource.disk",
    retry: "backoff",
    publicMessage: "There is no room for this upload now.",
    retryAfterSeconds: 60,
  });

/** Those that this process writes, and how each is told that somebody else wants to. */
type Wanted = Map<string, () => void>;

class Writer implements UploadWriter {
  upload: Upload;
  readonly #ports: UploadsPorts;
  readonly #timing: WriterTiming;
  readonly #writer: string;
  readonly #onEnd: () => void;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #goodUntilMs: number;
  #lost = false;
  #work: Promise<unknown> = Promise.resolve();
  #renewal: Promise<unknown> = Promise.resolve();
  #ended: Promise<void> | null = null;

  constructor(
    ports: UploadsPorts,
    { upload, writer, sinceMs, timing }: { upload: Upload; writer: string; sinceMs: number; timing: WriterTiming },
    onEnd: () => void,
  ) {
    this.#ports = ports;
    this.#timing = timing;
    this.upload = upload;
    this.#writer = writer;
    this.#onEnd = onEnd;
    this.#goodUntilMs = sinceMs + timing.ttlMs;
    if (upload.status === "receiving") this.#renewLater();
  }

  get #id(): { id: string; writer: string } {
    return { id: this.upload.id, writer: this.#writer };
  }

  get #keepMs(): number {
    return this.upload.resumable ? this.#ports.keepMs : KEEP_UNRESUMABLE_MS;
  }

  #renewLater(): void {
    this.#timer = setTimeout(() => {
      this.#renewal = this.#renew().finally(() => {
        if (this.#timer !== null) this.#renewLater();
      });
    }, this.#timing.renewMs);
    this.#timer.unref();
  }

  async #renew(): Promise<void> {
    const sentAtMs = performance.now();
    const { sql, logger } = this.#ports;
    const { offsetBytes } = this.upload;
    try {
      const times = { ttlMs: this.#timing.ttlMs, keepMs: this.#keepMs };
      if (await renewWriter(sql, { ...this.#id, offsetBytes, ...times })) this.#goodUntilMs = sentAtMs + times.ttlMs;
      else this.#lost = true;
    } catch (error) {
      logger.warn({ err: error, upload: this.upload.id }, "an upload's writer could not be renewed; it is tried again");
    }
  }

  receive(chunks: AsyncIterable<Uint8Array>): Promise<number> {
    const received = this.#receive(chunks);
    this.#work = received.catch(() => {});
    return received;
  }

  async #receive(chunks: AsyncIterable<Uint8Array>): Promise<number> {
    const { bytes, limitBytes } = this.#ports;
    const onBytes: OnBytes = {
      before: (length) => {
        // A process that was frozen finds its time over before it writes again.
        if (this.#lost || performance.now() > this.#goodUntilMs) throw takenOver();
        const { sizeBytes, offsetBytes } = this.upload;
        if (sizeBytes !== null && offsetBytes + length > sizeBytes) throw overLength(sizeBytes);
        if (offsetBytes + length > limitBytes) throw tooLargeUpload(limitBytes);
      },
      after: (length) => {
        this.upload = { ...this.upload, offsetBytes: this.upload.offsetBytes + length };
      },
    };
    await bytes.write(this.upload.id, this.upload.offsetBytes, chunks, onBytes);
    await this.completeIfWhole();
    return this.upload.offsetBytes;
  }

  async declare(sizeBytes: number): Promise<void> {
    if (sizeBytes > this.#ports.limitBytes) throw tooLargeUpload(this.#ports.limitBytes);
    if (!(await declareSize(this.#ports.sql, { ...this.#id, sizeBytes }))) throw takenOver();
    this.upload = { ...this.upload, sizeBytes };
  }

  async completeIfWhole(): Promise<void> {
    const { status, offsetBytes, sizeBytes } = this.upload;
    if (status === "receiving" && offsetBytes === sizeBytes) await this.complete();
  }

  async complete(): Promise<Upload> {
    const { sql, keepMs } = this.#ports;
    const done = await completeUpload(sql, { ...this.#id, sizeBytes: this.upload.offsetBytes, keepMs });
    if (done === null) throw takenOver();
    this.upload = done;
    return done;
  }

  async remove(): Promise<void> {
    const { sql, bytes } = this.#ports;
    const { id } = this.upload;
    const outcome = await markDeleted(sql, this.#id);
    if (outcome === "needed") throw conflict("A job that has not ended reads this upload.");
    if (outcome === "busy") throw takenOver();
    await bytes.remove(id);
    await forgetUpload(sql, id);
  }

  release(): Promise<void> {
    this.#ended ??= this.#end();
    return this.#ended;
  }

  async #end(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    await Promise.all([this.#work, this.#renewal]);
    this.#onEnd();
    const { id, offsetBytes, status } = this.upload;
    if (status !== "receiving" || this.#lost) return;
    const last = { ...this.#id, offsetBytes, keepMs: this.#keepMs };
    await releaseWriter(this.#ports.sql, last).catch((error: unknown) => {
      this.#ports.logger.warn(
        { err: error, upload: id },
        "an upload's writer could not be released; its time runs out",
      );
    });
  }
}

/** What the file holds is the truth; less than is on record means that it is not the file. */
async function measured(ports: UploadsPorts, upload: Upload, isNew: boolean): Promise<Upload> {
  const written = await ports.bytes.size(upload.id, { isNew });
  if (written < upload.offsetBytes) {
    throw new RendiffError({
      kind: "storage.corrupt",
      publicMessage: "The storage has lost bytes of this upload: begin it again.",
    });
  }
  return { ...upload, offsetBytes: Math.min(written, upload.sizeBytes ?? written) };
}

async function begin(ports: UploadsPorts, given: Begin, onCreated: OnCreated | undefined): Promise<Upload> {
  const { sql, limitBytes } = ports;
  if ((given.sizeBytes ?? 0) > limitBytes) throw tooLargeUpload(limitBytes);
  const freeBytes = await ports.freeBytes();
  const keepMs = given.resumable ? ports.keepMs : KEEP_UNRESUMABLE_MS;
  // Without a byte to come it is complete from the start, and its file has to be there first.
  if (given.sizeBytes === 0) await ports.bytes.size(given.id, { isNew: true });
  return await sql.transaction(async (tx) => {
    await tx.query(`SELECT pg_advisory_xact_lock(${ROOM_LOCK})`);
    const needed = (given.sizeBytes ?? 0) + (await bytesToCome(tx)) + SPARE_BYTES;
    if (freeBytes !== null && needed > freeBytes) throw noRoom();
    const inserted = await insertUpload(tx, { ...given, keepMs });
    const upload = given.sizeBytes === 0 ? await completeEmpty(tx, inserted, keepMs) : inserted;
    await onCreated?.(tx, upload);
    return upload;
  });
}

async function completeEmpty(tx: SqlRunner, { id }: Upload, keepMs: number): Promise<Upload> {
  const writer = Bun.randomUUIDv7();
  await takeWriter(tx, { id, writer, ttlMs: 0 });
  const done = await completeUpload(tx, { id, writer, sizeBytes: 0, keepMs });
  if (done === null) throw takenOver();
  return done;
}

async function look(ports: UploadsPorts, upload: Upload): Promise<Upload> {
  if (upload.status === "complete") return upload;
  return await measured(ports, upload, false).catch((error: unknown) => {
    // Its file is made for its first byte.
    if (upload.offsetBytes > 0) throw error;
    return upload;
  });
}

async function sweep({ sql, bytes }: UploadsPorts, limit: number): Promise<number> {
  await markExpiredUploads(sql, limit);
  const problems: unknown[] = [];
  const ids = await deletedUploads(sql, limit);
  for (const id of ids) {
    await bytes
      .remove(id)
      .then(() => forgetUpload(sql, id))
      .catch((error: unknown) => problems.push(error));
  }
  if (problems.length > 0) throw problems[0];
  return ids.length;
}

export function makeUploads(ports: UploadsPorts): Uploads {
  const { sql, bus, logger, timing = TIMING } = ports;
  const wanted: Wanted = new Map();
  // Without it a writer that is asked to end is not heard of, and its time has to run out.
  const subscription = bus.subscribe(channels.uploads, ({ id }) => wanted.get(String(id))?.());
  subscription.catch((error: unknown) => logger.warn({ err: error }, "uploads could not subscribe to the bus"));

  async function take(id: string, onWanted: () => void): Promise<UploadWriter | null> {
    const writer = Bun.randomUUIDv7();
    const sinceMs = performance.now();
    const upload = await takeWriter(sql, { id, writer, ttlMs: timing.ttlMs });
    if (upload === null) return null;
    let taken: Writer | null = null;
    try {
      const real = await measured(ports, upload, upload.offsetBytes === 0);
      wanted.set(id, onWanted);
      const onEnd = (): void => {
        if (wanted.get(id) === onWanted) wanted.delete(id);
      };
      taken = new Writer(ports, { upload: real, writer, sinceMs, timing }, onEnd);
      // Its last byte was written by one that died, or lost the database, before it could say so.
      await taken.completeIfWhole();
      return taken;
    } catch (error) {
      if (taken === null) await releaseWriter(sql, { id, writer, offsetBytes: upload.offsetBytes, keepMs: 0 });
      else await taken.release();
      throw error;
    }
  }

  async function open(id: string, onWanted: () => void, signal: AbortSignal): Promise<UploadWriter | null> {
    const untilMs = performance.now() + timing.waitMs;
    for (let looks = 0; ; looks++) {
      signal.throwIfAborted();
      const writer = await take(id, onWanted);
      if (writer !== null) return writer;
      const upload = await getUpload(sql, { id, keyId: null });
      if (upload === null) return null;
      if (upload.status === "complete") {
        const looker = { upload, writer: Bun.randomUUIDv7(), sinceMs: performance.now(), timing };
        return new Writer(ports, looker, () => {});
      }
      if (performance.now() > untilMs) throw conflict("Another request writes this upload, and does not end.");
      if (looks % 10 === 0) await bus.publish(channels.uploads, { id }).catch(() => {});
      await Bun.sleep(timing.lookMs);
    }
  }

  return {
    limitBytes: ports.limitBytes,
    keepMs: ports.keepMs,
    begin: (upload, onCreated) => begin(ports, upload, onCreated),
    open: ({ id }, onWanted, signal) => open(id, onWanted, signal),
    look: (upload) => look(ports, upload),
    sweep: (limit) => sweep(ports, limit),
    recover: () => releaseAllWriters(sql),
    async close() {
      for (const stop of wanted.values()) stop();
      await subscription.then((unsubscribe) => unsubscribe()).catch(() => {});
    },
  };
}
