/**
 * The durable Idempotency-Key: the same key and body give the same answer for 24 hours, across restarts and replicas.
 *
 * `begin` takes the key with one statement; `complete` stores the answer inside the transaction that creates the thing,
 * so that both exist or neither does. A request that fails gives the key back (`release`), so failures are not stored.
 * One that dies leaves a lock that runs out; who takes it over then gets a new lock, and that lock is what `complete`
 * checks: a request that froze and thaws after its key was taken over rolls back.
 */
import { json, type SqlRunner } from "../database/sql.ts";
import { RendiffError } from "../errors.ts";
import type { KeyId } from "../jobs/types.ts";

const LOCK_MS = 30_000;
const KEEP_HOURS = 24;
const KEY_LENGTH_MAX = 255;

/** An answer to keep. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
  /** Of what was created; null for none. */
  readonly location: string | null;
}

/** An answer as it was sent. */
export interface StoredAnswer {
  readonly status: number;
  /** Its very bytes. */
  readonly text: string;
  readonly location: string | null;
}

/** The right to answer for a key, until its lock runs out. */
export interface IdempotencyHold {
  readonly keyId: KeyId;
  readonly idempotencyKey: string;
  readonly lock: string;
}

export interface IdempotentRequest {
  readonly keyId: KeyId;
  readonly idempotencyKey: string;
  readonly route: string;
  readonly bodySha256: string;
}

export type BeginResult =
  | { readonly outcome: "held"; readonly hold: IdempotencyHold }
  | { readonly outcome: "stored"; readonly answer: StoredAnswer };

/** Throws `request.invalid` unless it is 1–255 visible ASCII characters. */
export function parseIdempotencyKey(text: string): string {
  if (/^[\x21-\x7e]+$/.test(text) && text.length <= KEY_LENGTH_MAX) return text;
  const message = `must be 1 to ${KEY_LENGTH_MAX} visible ASCII characters`;
  throw new RendiffError({
    kind: "request.invalid",
    publicMessage: `The header Idempotency-Key is not valid: it ${message}.`,
    details: [{ path: "Idempotency-Key", message }],
  });
}

// The lock is cut to milliseconds, so that it survives the way through a JavaScript date or text.
const BEGIN = `
INSERT INTO idempotency_keys AS held (key_id, idempotency_key, route, body_sha256, locked_until, expires_at)
VALUES ($1, $2, $3, $4, date_trunc('milliseconds', clock_timestamp() + $5::double precision * interval '1 millisecond'),
  now() + interval '${KEEP_HOURS} hours')
ON CONFLICT (key_id, idempotency_key) DO UPDATE
SET route = excluded.route, body_sha256 = excluded.body_sha256, response_status = NULL, response_body = NULL,
  response_text = NULL, response_location = NULL, locked_until = excluded.locked_until, expires_at = excluded.expires_at, created_at = now()
WHERE held.expires_at <= now()
  OR (held.response_status IS NULL AND held.locked_until <= now()
    AND held.route = excluded.route AND held.body_sha256 = excluded.body_sha256)
RETURNING locked_until::text AS lock`;

interface HeldRow {
  route: string;
  body_sha256: string;
  response_status: number | null;
  response_text: string;
  response_location: string | null;
}

/**
 * Takes the key or returns the stored answer. Throws `request.idempotency_mismatch` when the key came with another body
 * or to another route, and `request.conflict` while the first request is still in flight.
 */
export async function beginIdempotent(sql: SqlRunner, request: IdempotentRequest): Promise<BeginResult> {
  const { keyId, idempotencyKey, route, bodySha256 } = request;
  // The holder may release the key between the two statements: then the second try takes it.
  for (let attempt = 0; attempt < 3; attempt++) {
    const [taken] = await sql.query<{ lock: string }>(BEGIN, [keyId, idempotencyKey, route, bodySha256, LOCK_MS]);
    if (taken !== undefined) return { outcome: "held", hold: { keyId, idempotencyKey, lock: taken.lock } };
    const [row] = await sql.query<HeldRow>(
      // Without a text the answer was stored by the version before.
      `SELECT route, body_sha256, response_status, coalesce(response_text, response_body::text) AS response_text,
         response_location
       FROM idempotency_keys WHERE key_id = $1 AND idempotency_key = $2`,
      [keyId, idempotencyKey],
    );
    if (row === undefined) continue;
    if (row.route !== route || row.body_sha256 !== bodySha256) throw mismatch();
    if (row.response_status === null) throw inFlight();
    const { response_status: status, response_text: text, response_location: location } = row;
    return { outcome: "stored", answer: { status, text, location } };
  }
  throw inFlight();
}

/** Stores the answer, in the transaction that did the work; rejects, so that it rolls back, when the lock was lost. */
export async function completeIdempotent(tx: SqlRunner, hold: IdempotencyHold, answer: Answer): Promise<void> {
  const rows = await tx.query(
    `UPDATE idempotency_keys SET response_status = $4::integer, response_body = $5::jsonb, response_text = $6::text,
       response_location = $7::text
     WHERE key_id = $1 AND idempotency_key = $2 AND locked_until = $3::timestamptz AND response_status IS NULL
     RETURNING key_id`,
    [
      hold.keyId,
      hold.idempotencyKey,
      hold.lock,
      answer.status,
      json(answer.body),
      JSON.stringify(answer.body),
      answer.location,
    ],
  );
  if (rows.length === 0) throw inFlight();
}

/** Gives the key back after a failure. Idempotent; does nothing once the answer is stored or another holds the key. */
export async function releaseIdempotent(sql: SqlRunner, hold: IdempotencyHold): Promise<void> {
  await sql.query(
    `DELETE FROM idempotency_keys
     WHERE key_id = $1 AND idempotency_key = $2 AND locked_until = $3::timestamptz AND response_status IS NULL`,
    [hold.keyId, hold.idempotencyKey, hold.lock],
  );
}

function mismatch(): RendiffError {
  return new RendiffError({
    kind: "request.idempotency_mismatch",
    publicMessage: "This Idempotency-Key was used before with another request.",
  });
}

function inFlight(): RendiffError {
  return new RendiffError({
    kind: "request.conflict",
    publicMessage: "The first request with this Idempotency-Key is still being answered.",
    retryAfterSeconds: 1,
  });
}
