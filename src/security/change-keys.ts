/** Changing and rotating a key: the id, its jobs and its limits' counters stay. Publish on `channels.keys` afterwards. */
import { z } from "zod";
import type { SqlParam, SqlRunner } from "../database/sql.ts";
import { RendiffError } from "../errors.ts";
import { isUuid } from "../jobs/store.ts";
import { sha256 } from "./digest.ts";
import { keyPropertiesSchema, RESERVED_KEY_NAMES } from "./keys.schema.ts";
import { type ApiKey, getKey, makeKeyText, makeWebhookSecret } from "./keys.ts";

const GRACE_SECONDS_DEFAULT = 24 * 3_600;
const GRACE_SECONDS_MAX = 30 * 24 * 3_600;

const { shape } = keyPropertiesSchema;

/** Each property as it is when a key is made, without its default: what is absent stays as it is. */
export const keyChangesSchema = z
  .strictObject({
    name: shape.name,
    role: shape.role.removeDefault(),
    allowed_operations: shape.allowed_operations.removeDefault(),
    read_backends: shape.read_backends.removeDefault(),
    write_backends: shape.write_backends.removeDefault(),
    rate_limit: shape.rate_limit.removeDefault(),
    max_concurrent_jobs: shape.max_concurrent_jobs.removeDefault(),
    weight: shape.weight.removeDefault(),
    monthly_limit_minutes: shape.monthly_limit_minutes.removeDefault(),
    expires_at: shape.expires_at.removeDefault(),
  })
  .partial();
export type KeyChanges = z.output<typeof keyChangesSchema>;

export const rotationSchema = z.strictObject({
  grace_period: z
    .int()
    .min(0)
    .max(GRACE_SECONDS_MAX)
    .default(GRACE_SECONDS_DEFAULT)
    .describe("Seconds in which the old one works beside the new one."),
  what: z.enum(["key", "webhook_secret", "both"]).default("key").describe("What is made anew."),
});
export type Rotation = z.output<typeof rotationSchema>;

/** The wire's names and the columns'. */
const COLUMN_OF: Readonly<Record<keyof KeyChanges, readonly [column: string, type: string]>> = {
  name: ["name", "text"],
  role: ["role", "text"],
  allowed_operations: ["allowed_operations", "text[]"],
  read_backends: ["read_backends", "text[]"],
  write_backends: ["write_backends", "text[]"],
  rate_limit: ["rate_limit_per_minute", "integer"],
  max_concurrent_jobs: ["max_concurrent_jobs", "integer"],
  weight: ["weight", "real"],
  monthly_limit_minutes: ["monthly_limit_minutes", "integer"],
  expires_at: ["expires_at", "timestamptz"],
};

function conflict(publicMessage: string): RendiffError {
  return new RendiffError({ kind: "request.conflict", publicMessage });
}

function isReserved(name: string): boolean {
  return (RESERVED_KEY_NAMES as readonly string[]).includes(name);
}

/** Locked until the transaction ends. Null when there is none; throws `request.conflict` for a revoked one. */
async function lockKey(tx: SqlRunner, id: string): Promise<ApiKey | null> {
  if (!isUuid(id)) return null;
  await tx.query("SELECT id FROM api_keys WHERE id = $1 FOR UPDATE", [id]);
  const key = await getKey(tx, id);
  if (key !== null && key.revokedAt !== null) throw conflict("The key was revoked; make a new one.");
  return key;
}

/** Null when there is no such key. */
export async function changeKey(tx: SqlRunner, id: string, changes: KeyChanges): Promise<ApiKey | null> {
  const key = await lockKey(tx, id);
  if (key === null) return null;
  if (isReserved(key.name)) throw conflict("This key is the service's own; its properties are not to be changed.");
  const params: SqlParam[] = [id];
  const sets: string[] = [];
  for (const [name, [column, type]] of Object.entries(COLUMN_OF)) {
    const value = changes[name as keyof KeyChanges];
    if (value === undefined) continue;
    params.push(name === "expires_at" && value !== null ? new Date(value as string) : (value as SqlParam));
    sets.push(`${column} = $${params.length}::${type}`);
  }
  if (sets.length > 0) await tx.query(`UPDATE api_keys SET ${sets.join(", ")} WHERE id = $1`, params);
  return getKey(tx, id);
}

export interface RotatedKey {
  readonly apiKey: ApiKey;
  /** Null when it was not made anew. */
  readonly key: string | null;
  readonly webhookSecret: string | null;
}

// Whatever was in its grace before is over: of each, at most two work.
const ROTATE_KEY = `UPDATE api_keys SET previous_digest = CASE WHEN $3::integer > 0 THEN digest END,
  previous_until = CASE WHEN $3::integer > 0 THEN now() + $3::integer * interval '1 second' END, digest = $2
  WHERE id = $1`;
const ROTATE_SECRET = `UPDATE api_keys SET
  previous_webhook_secret = CASE WHEN $3::integer > 0 THEN webhook_secret END,
  previous_webhook_secret_until = CASE WHEN $3::integer > 0 THEN now() + $3::integer * interval '1 second' END,
  webhook_secret = $2 WHERE id = $1`;

/** Null when there is no such key. `key` and `webhookSecret` are never to be had again. */
export async function rotateKey(
  tx: SqlRunner,
  id: string,
  { grace_period: graceSeconds, what }: Rotation,
): Promise<RotatedKey | null> {
  const apiKey = await lockKey(tx, id);
  if (apiKey === null) return null;
  if (what !== "webhook_secret" && isReserved(apiKey.name)) {
    throw conflict("This key's text comes from the service's configuration; only its webhook_secret can be rotated.");
  }
  const key = what === "webhook_secret" ? null : makeKeyText(apiKey.id);
  const webhookSecret = what === "key" ? null : makeWebhookSecret();
  if (key !== null) await tx.query(ROTATE_KEY, [id, sha256(key), graceSeconds]);
  if (webhookSecret !== null) await tx.query(ROTATE_SECRET, [id, webhookSecret, graceSeconds]);
  return { apiKey, key, webhookSecret };
}
