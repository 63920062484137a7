/**
 * Uploads as rows: whose they are, how much of each is there, and who is writing it.
 *
 * One request at a time writes an upload. It holds the row under a `writer` of its own, renewed while bytes come, so that
 * one that died or froze is followed by another on any replica. The bytes lie in the storage `upload`, whose keys are the
 * uploads' ids.
 */
import { json, type SqlRow, type SqlRunner } from "../database/sql.ts";
import { RendiffError } from "../errors.ts";
import { IS_OPEN } from "./guards.ts";
import { milliseconds } from "./statements.ts";
import { countStored, uncountStored } from "./storage-usage.ts";
import { isUuid } from "./store.ts";
import type { KeyId } from "./types.ts";

/** The storage that uploads lie in, and the scheme under which jobs name them. */
export const UPLOAD_BACKEND = "upload";
/** Of one key at a time: each takes room that nobody else can have. */
const UNFINISHED_MAX = 1_000;

export interface Upload {
  readonly id: string;
  readonly keyId: KeyId;
  /** As the client called it. */
  readonly name: string;
  /** As the client sent it. */
  readonly metadata: Readonly<Record<string, string | null>>;
  /** Null: not known yet. */
  readonly sizeBytes: number | null;
  /** Written at least; a process that was killed may have written more. */
  readonly offsetBytes: number;
  readonly status: "receiving" | "complete";
  readonly resumable: boolean;
  /** `undefined`: nobody has looked yet; null: it is no media. */
  readonly media: unknown;
  readonly createdAt: Date;
  readonly expiresAt: Date;
}

const COLUMNS = `u.id, u.key_id, u.name, u.metadata, u.size_bytes, u.offset_bytes, u.status, u.resumable,
  u.media IS NOT NULL AS probed, u.media, u.created_at, u.expires_at`;

/** Over `uploads u`. */
const IS_THERE = "u.status <> 'deleted' AND u.expires_at > now()";
const IS_FREE = "(u.writer IS NULL OR u.writer_until <= now())";
/** An open job names it. The first two conditions are those of the index. */
const IS_NEEDED = `EXISTS (SELECT FROM jobs j WHERE ${IS_OPEN} AND (j.spec -> 'inputs')::text LIKE '%"upload://%'
  AND j.spec -> 'inputs' ? ('${UPLOAD_BACKEND}://' || u.id::text))`;

function toUpload(row: SqlRow): Upload {
  return {
    id: row.id as string,
    keyId: row.key_id as KeyId,
    name: row.name as string,
    metadata: row.metadata as Upload["metadata"],
    sizeBytes: row.size_bytes as number | null,
    offsetBytes: row.offset_bytes as number,
    status: row.status as Upload["status"],
    resumable: row.resumable as boolean,
    media: row.probed === true ? row.media : undefined,
    createdAt: row.created_at as Date,
    expiresAt: row.expires_at as Date,
  };
}

export const tooLargeUpload = (limitBytes: number): RendiffError =>
  new RendiffError({
    kind: "request.too_large",
    publicMessage: `The upload is larger than the ${limitBytes} bytes that are allowed (UPLOAD_LIMIT).`,
  });

export interface NewUpload {
  readonly id: string;
  readonly keyId: KeyId;
  readonly name: string;
  readonly metadata: Upload["metadata"];
  readonly sizeBytes: number | null;
  readonly resumable: boolean;
  /** Until it expires, unless bytes come. */
  readonly keepMs: number;
}

const INSERT = `
WITH unfinished AS (SELECT count(*) AS n FROM uploads u WHERE u.key_id = $2 AND u.status = 'receiving')
INSERT INTO uploads AS u (id, key_id, name, backend, key, metadata, size_bytes, resumable, expires_at)
SELECT $1::uuid, $2::uuid, $3, '${UPLOAD_BACKEND}', $1::uuid::text, $4::jsonb, $5::bigint, $6, now() + ${milliseconds("$7")}
FROM unfinished WHERE unfinished.n < ${UNFINISHED_MAX}
RETURNING ${COLUMNS}`;

/** Throws `request.quota_exceeded` when the key has too many that were never finished. */
export async function insertUpload(sql: SqlRunner, upload: NewUpload): Promise<Upload> {
  const { id, keyId, name, metadata, sizeBytes, resumable, keepMs } = upload;
  const [row] = await sql.query(INSERT, [id, keyId, name, json(metadata), sizeBytes, resumable, keepMs]);
  if (row !== undefined) return toUpload(row);
  throw new RendiffError({
    kind: "request.quota_exceeded",
    publicMessage: `This key has ${UNFINISHED_MAX} uploads that were not finished: finish, delete or let expire some.`,
    retryAfterSeconds: 60,
  });
}

/** Null when there is none, or it is another key's; `keyId: null` sees all. */
export async function getUpload(
  sql: SqlRunner,
  { id, keyId }: { id: string; keyId: KeyId | null },
): Promise<Upload | null> {
  if (!isUuid(id)) return null;
  const [row] = await sql.query(
    `SELECT ${COLUMNS} FROM uploads u WHERE u.id = $1 AND ($2::uuid IS NULL OR u.key_id = $2::uuid) AND ${IS_THERE}`,
    [id, keyId],
  );
  return row === undefined ? null : toUpload(row);
}

/** What uploads of known size have yet to take, all keys together. */
export async function bytesToCome(sql: SqlRunner): Promise<number> {
  const [row] = await sql.query<{ bytes: number }>(
    `SELECT coalesce(sum(greatest(0, u.size_bytes - u.offset_bytes)), 0)::double precision AS bytes
     FROM uploads u WHERE u.status = 'receiving' AND u.expires_at > now()`,
  );
  return row?.bytes ?? 0;
}

export interface WriterId {
  readonly id: string;
  readonly writer: string;
}

/** Makes `writer` the one who may write, for `ttlMs`; null while another is, or when there is nothing to write. */
export async function takeWriter(
  sql: SqlRunner,
  { id, writer, ttlMs }: WriterId & { readonly ttlMs: number },
): Promise<Upload | null> {
  const [row] = await sql.query(
    `UPDATE uploads u SET writer = $2, writer_until = now() + ${milliseconds("$3")}
     WHERE u.id = $1 AND u.status = 'receiving' AND ${IS_THERE} AND ${IS_FREE} RETURNING ${COLUMNS}`,
    [id, writer, ttlMs],
  );
  return row === undefined ? null : toUpload(row);
}

/** Records what is written, keeps the upload for `keepMs` more, and its writer for `ttlMs`; false: it is not its writer. */
export async function renewWriter(
  sql: SqlRunner,
  { id, writer, offsetBytes, ttlMs, keepMs }: WriterId & { offsetBytes: number; ttlMs: number; keepMs: number },
): Promise<boolean> {
  const rows = await sql.query(
    `UPDATE uploads u SET offset_bytes = $3::bigint, writer_until = now() + ${milliseconds("$4")},
       expires_at = greatest(u.expires_at, now() + ${milliseconds("$5")})
     WHERE u.id = $1 AND u.writer = $2 AND u.status = 'receiving' RETURNING u.id`,
    [id, writer, offsetBytes, ttlMs, keepMs],
  );
  return rows.length > 0;
}

/** The last of `renewWriter`. Idempotent. */
export async function releaseWriter(
  sql: SqlRunner,
  { id, writer, offsetBytes, keepMs }: WriterId & { offsetBytes: number; keepMs: number },
): Promise<void> {
  await sql.query(
    `UPDATE uploads u SET offset_bytes = $3::bigint, writer = NULL, writer_until = NULL,
       expires_at = greatest(u.expires_at, now() + ${milliseconds("$4")})
     WHERE u.id = $1 AND u.writer = $2 AND u.status = 'receiving'`,
    [id, writer, offsetBytes, keepMs],
  );
}

/** Those of processes that are gone: to be called by one that knows that it is alone. */
export async function releaseAllWriters(sql: SqlRunner): Promise<void> {
  await sql.query("UPDATE uploads SET writer = NULL, writer_until = NULL WHERE writer IS NOT NULL");
}

/** False: it is not its writer, or the size was known. */
export async function declareSize(
  sql: SqlRunner,
  { id, writer, sizeBytes }: WriterId & { readonly sizeBytes: number },
): Promise<boolean> {
  const rows = await sql.query(
    "UPDATE uploads SET size_bytes = $3::bigint WHERE id = $1 AND writer = $2 AND size_bytes IS NULL RETURNING id",
    [id, writer, sizeBytes],
  );
  return rows.length > 0;
}

const COMPLETE = `
WITH done AS (
  UPDATE uploads u SET status = 'complete', size_bytes = $3::bigint, offset_bytes = $3::bigint, writer = NULL,
    writer_until = NULL, expires_at = now() + ${milliseconds("$4")}
  WHERE u.id = $1 AND u.writer = $2 AND u.status = 'receiving' RETURNING u.*),
added AS (SELECT d.key_id, d.backend, d.size_bytes, 1 AS object_count FROM done d),
${countStored("added")}
SELECT ${COLUMNS} FROM done u`;

/** All its bytes are there; null: it is not its writer. */
export async function completeUpload(
  sql: SqlRunner,
  { id, writer, sizeBytes, keepMs }: WriterId & { sizeBytes: number; keepMs: number },
): Promise<Upload | null> {
  const [row] = await sql.query(COMPLETE, [id, writer, sizeBytes, keepMs]);
  return row === undefined ? null : toUpload(row);
}

/** What probing found; null: it is no media. */
export async function recordUploadMedia(sql: SqlRunner, id: string, media: unknown): Promise<void> {
  await sql.query("UPDATE uploads SET media = $2::jsonb WHERE id = $1 AND status = 'complete'", [id, json(media)]);
}

/** Deletes the rows of `doomed` (of `uploads`), for everybody but those who take the bytes away. */
const DELETE_DOOMED = `gone AS (
  UPDATE uploads u SET status = 'deleted', writer = NULL, writer_until = NULL
  FROM doomed WHERE u.id = doomed.id RETURNING doomed.id, doomed.key_id, doomed.backend, doomed.size_bytes, doomed.status),
stored AS (SELECT g.key_id, g.backend, g.size_bytes FROM gone g WHERE g.status = 'complete'),
${uncountStored("stored")}`;

const DELETE = `
WITH found AS (
  SELECT u.*, ${IS_NEEDED} AS needed, (${IS_FREE} OR u.writer = $2::uuid) AS free
  FROM uploads u WHERE u.id = $1 AND ${IS_THERE} FOR UPDATE),
doomed AS (SELECT f.* FROM found f WHERE f.free AND NOT f.needed),
${DELETE_DOOMED}
SELECT f.needed, f.free FROM found f`;

/**
 * From `deleted` on nobody sees it, and its bytes may go. `needed`: an open job reads it; `busy`: it is being written by
 * another than `writer`.
 */
export async function markDeleted(
  sql: SqlRunner,
  { id, writer }: { readonly id: string; readonly writer: string | null },
): Promise<"deleted" | "needed" | "busy" | "absent"> {
  const [row] = await sql.query<{ needed: boolean; free: boolean }>(DELETE, [id, writer]);
  if (row === undefined) return "absent";
  if (row.needed) return "needed";
  return row.free ? "deleted" : "busy";
}

const IS_EXPIRED = `u.status <> 'deleted' AND u.expires_at <= now() AND ${IS_FREE} AND NOT ${IS_NEEDED}`;

const EXPIRE = `
WITH doomed AS (
  SELECT u.* FROM uploads u WHERE ${IS_EXPIRED}
  ORDER BY u.expires_at LIMIT $1::integer FOR UPDATE SKIP LOCKED),
${DELETE_DOOMED}
SELECT g.id FROM gone g`;

/** Marks what has expired and is neither being written nor needed by an open job. Returns how many. */
export async function markExpiredUploads(sql: SqlRunner, limit: number): Promise<number> {
  return (await sql.query(EXPIRE, [limit])).length;
}

/** What a sweep would take away, however many. */
export async function countExpiredUploads(sql: SqlRunner): Promise<number> {
  const [row] = await sql.query<{ n: number }>(
    `SELECT count(*)::integer AS n FROM uploads u WHERE u.status = 'deleted' OR (${IS_EXPIRED})`,
  );
  return row?.n ?? 0;
}

/** Marked as deleted, and not forgotten yet. */
export async function deletedUploads(sql: SqlRunner, limit: number): Promise<readonly string[]> {
  const rows = await sql.query<{ id: string }>(
    "SELECT u.id FROM uploads u WHERE u.status = 'deleted' ORDER BY u.id LIMIT $1::integer",
    [limit],
  );
  return rows.map(({ id }) => id);
}

/** Of those whose bytes are gone. */
export async function forgetUpload(sql: SqlRunner, id: string): Promise<void> {
  await sql.query("DELETE FROM uploads WHERE id = $1 AND status = 'deleted'", [id]);
}

/** A job is stored within this time after its uploads were looked at, and keeps them from then on. */
const LOOKED_AT_MS = 3_600_000;

const LOOK = `
WITH held AS (
  UPDATE uploads u SET expires_at = greatest(u.expires_at, now() + ${milliseconds("$3")})
  WHERE u.id = ANY ($1::uuid[]) AND u.key_id = $2 AND u.status = 'complete' AND ${IS_THERE} RETURNING u.id)
SELECT u.id, EXISTS (SELECT FROM held h WHERE h.id = u.id) AS ready
FROM uploads u WHERE u.id = ANY ($1::uuid[]) AND u.key_id = $2 AND ${IS_THERE}`;

const uploadIdOf = (uri: string): string | null => {
  const [, id] = /^upload:\/\/(.+)$/.exec(uri) ?? [];
  return id ?? null;
};

/**
 * Every upload that the URIs name is there, whole, and this very key's: an administrator's key reads no other's either.
 * Throws `request.not_found` or `request.conflict`. Asks nobody when there is none.
 */
export async function requireUploads(sql: SqlRunner, keyId: KeyId, uris: readonly string[]): Promise<void> {
  const ids = [...new Set(uris.map(uploadIdOf).filter((id) => id !== null))];
  if (ids.length === 0) return;
  const found = await sql.query<{ id: string; ready: boolean }>(LOOK, [ids.filter(isUuid), keyId, LOOKED_AT_MS]);
  const ready = new Map(found.map((row) => [row.id, row.ready]));
  for (const id of ids) {
    const state = ready.get(id);
    if (state === true) continue;
    const is = state === undefined ? "There is no such upload" : "This upload is not finished yet";
    throw new RendiffError({
      kind: state === undefined ? "request.not_found" : "request.conflict",
      publicMessage: `${is}: ${UPLOAD_BACKEND}://${id.slice(0, 64)}.`,
    });
  }
}
