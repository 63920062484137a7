/**
 * API keys as rows. A key is shown once, when it is made; what is kept is its SHA-256. Keys have 160 random bits, so a
 * fast hash is enough: there is nothing to guess.
 */
import { randomBytes, timingSafeEqual } from "node:crypto";
import type { SqlRow, SqlRunner } from "../database/sql.ts";
import { RendiffError } from "../errors.ts";
import { isUuid } from "../jobs/store.ts";
import type { KeyId } from "../jobs/types.ts";
import { sha256 } from "./digest.ts";
import type { KeyProperties } from "./keys.schema.ts";
import type { Principal } from "./principal.ts";
import type { Role } from "./roles.ts";

const SECRET_BYTES = 20;
const WEBHOOK_SECRET_BYTES = 24;

/** A row of `api_keys` without its secrets. */
export interface ApiKey {
  readonly id: KeyId;
  readonly name: string;
  readonly role: Role;
  readonly allowedOperations: readonly string[] | null;
  readonly readBackends: readonly string[] | null;
  readonly writeBackends: readonly string[] | null;
  readonly rateLimitPerMinute: number | null;
  readonly maxConcurrentJobs: number | null;
  readonly weight: number;
  readonly monthlyLimitMinutes: number | null;
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
  readonly revokedAt: Date | null;
  readonly lastUsedAt: Date | null;
}

/** A key as it is made: `key` and `webhookSecret` are never to be had again. */
export interface CreatedKey {
  readonly apiKey: ApiKey;
  readonly key: string;
  readonly webhookSecret: string;
}

const COLUMNS = `id, name, role, allowed_operations, read_backends, write_backends, rate_limit_per_minute,
  max_concurrent_jobs, weight, monthly_limit_minutes, created_at, expires_at, revoked_at, last_used_at`;

/** Over `api_keys k`. */
const IS_GOOD = "k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())";

function toApiKey(row: SqlRow): ApiKey {
  return {
    id: row.id as KeyId,
    name: row.name as string,
    role: row.role as Role,
    allowedOperations: row.allowed_operations as string[] | null,
    readBackends: row.read_backends as string[] | null,
    writeBackends: row.write_backends as string[] | null,
    rateLimitPerMinute: row.rate_limit_per_minute as number | null,
    maxConcurrentJobs: row.max_concurrent_jobs as number | null,
    weight: row.weight as number,
    monthlyLimitMinutes: row.monthly_limit_minutes as number | null,
    createdAt: row.created_at as Date,
    expiresAt: row.expires_at as Date | null,
    revokedAt: row.revoked_at as Date | null,
    lastUsedAt: row.last_used_at as Date | null,
  };
}

/** `rnd_<id>_<secret>`: the id tells people and logs which key it is, the secret is what counts. */
export function makeKeyText(id: string): string {
  return `rnd_${id.replaceAll("-", "")}_${randomBytes(SECRET_BYTES).toString("hex")}`;
}

/** A secret in the form of Standard Webhooks. */
export function makeWebhookSecret(): string {
  return `whsec_${randomBytes(WEBHOOK_SECRET_BYTES).toString("base64")}`;
}

export async function createKey(sql: SqlRunner, properties: KeyProperties): Promise<CreatedKey> {
  const id = Bun.randomUUIDv7();
  const key = makeKeyText(id);
  const webhookSecret = makeWebhookSecret();
  const [row] = await sql.query(
    `INSERT INTO api_keys (id, name, digest, role, allowed_operations, read_backends, write_backends,
       rate_limit_per_minute, max_concurrent_jobs, weight, monthly_limit_minutes, webhook_secret, expires_at)
     VALUES ($1, $2, $3, $4, $5::text[], $6::text[], $7::text[], $8::integer, $9::integer, $10::real, $11::integer, $12,
       $13::timestamptz)
     RETURNING ${COLUMNS}`,
    [
      id,
      properties.name,
      sha256(key),
      properties.role,
      properties.allowed_operations,
      properties.read_backends,
      properties.write_backends,
      properties.rate_limit,
      properties.max_concurrent_jobs,
      properties.weight,
      properties.monthly_limit_minutes,
      webhookSecret,
      properties.expires_at === null ? null : new Date(properties.expires_at),
    ],
  );
  if (row === undefined) throw new RendiffError({ kind: "internal", publicMessage: "The key was not stored." });
  return { apiKey: toApiKey(row), key, webhookSecret };
}

export interface KeyPageRequest {
  readonly limit: number;
  /** Keys older than this one. */
  readonly before?: string;
}

/** Newest first, revoked ones included. */
export async function listKeys(sql: SqlRunner, { limit, before }: KeyPageRequest): Promise<ApiKey[]> {
  const rows = await sql.query(
    `SELECT ${COLUMNS} FROM api_keys WHERE $2::uuid IS NULL OR id < $2::uuid ORDER BY id DESC LIMIT $1::integer`,
    [limit, before !== undefined && isUuid(before) ? before : null],
  );
  return rows.map(toApiKey);
}

export async function getKey(sql: SqlRunner, id: string): Promise<ApiKey | null> {
  if (!isUuid(id)) return null;
  const [row] = await sql.query(`SELECT ${COLUMNS} FROM api_keys WHERE id = $1`, [id]);
  return row === undefined ? null : toApiKey(row);
}

/** Null when there is no such key; revoking twice keeps the first time. Publish on `channels.keys` afterwards. */
export async function revokeKey(sql: SqlRunner, id: string): Promise<ApiKey | null> {
  if (!isUuid(id)) return null;
  const [row] = await sql.query(
    `UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1 RETURNING ${COLUMNS}`,
    [id],
  );
  return row === undefined ? null : toApiKey(row);
}

/**
 * Null when no valid key has this digest: unknown, revoked or expired by the database's clock. Notes the use at most
 * once a minute, so that a busy key does not write with every request.
 */
export async function findByDigest(sql: SqlRunner, digest: Uint8Array): Promise<Principal | null> {
  const [row] = await sql.query(
    `SELECT ${COLUMNS}, m.matched, m.until, last_used_at IS NULL OR last_used_at < now() - interval '1 minute' AS stale
     FROM (
       SELECT id AS key_id, digest AS matched, NULL::timestamptz AS until FROM api_keys WHERE digest = $1
       UNION ALL
       SELECT id, previous_digest, previous_until FROM api_keys WHERE previous_digest = $1 AND previous_until > now()) m
     JOIN api_keys k ON k.id = m.key_id
     WHERE ${IS_GOOD}`,
    [digest],
  );
  if (row === undefined) return null;
  const stored = row.matched as Uint8Array;
  if (stored.length !== digest.length || !timingSafeEqual(stored, digest)) return null;
  const key = toApiKey(row);
  if (row.stale === true) await sql.query("UPDATE api_keys SET last_used_at = now() WHERE id = $1", [key.id]);
  const principal = toPrincipal(key);
  // The replaced text of a rotated key: whoever caches the answer must not keep it for longer.
  const until = row.until as Date | null;
  if (until === null || (principal.expiresAt !== null && principal.expiresAt < until)) return principal;
  return { ...principal, expiresAt: until };
}

/** Null when there is no valid key with this id. */
export async function findById(sql: SqlRunner, id: KeyId): Promise<Principal | null> {
  const [row] = await sql.query(`SELECT ${COLUMNS} FROM api_keys k WHERE id = $1 AND ${IS_GOOD}`, [id]);
  return row === undefined ? null : toPrincipal(toApiKey(row));
}

/** Those of the keys that are neither revoked nor expired. */
export async function findGoodKeys(sql: SqlRunner, ids: readonly KeyId[]): Promise<ReadonlySet<KeyId>> {
  const rows = await sql.query<{ id: KeyId }>(
    `SELECT k.id FROM api_keys k WHERE k.id = ANY ($1::uuid[]) AND ${IS_GOOD}`,
    [ids],
  );
  return new Set(rows.map(({ id }) => id));
}

export function toPrincipal(key: ApiKey): Principal {
  return {
    keyId: key.id,
    name: key.name,
    role: key.role,
    allowedOperations: key.allowedOperations,
    readBackends: key.readBackends,
    writeBackends: key.writeBackends,
    rateLimitPerMinute: key.rateLimitPerMinute,
    monthlyLimitMinutes: key.monthlyLimitMinutes,
    expiresAt: key.expiresAt,
  };
}
