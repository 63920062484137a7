/**
 * Deliveries as rows: written by the trigger on `jobs` in the transaction that changes a job, claimed with a lease like a
 * job, and sent at least once. A courier that dies leaves a row that is due again when its lease is over.
 *
 * `next_at` is both when a try is due and, once it is claimed, when the lease ends: one condition finds both.
 */
import { json, type SqlRow, type SqlRunner } from "../database/sql.ts";
import { millisecondsUntil } from "../jobs/statements.ts";
import { isUuid } from "../jobs/store.ts";
import type { JobId, KeyId } from "../jobs/types.ts";

export type DeliveryStatus = "pending" | "delivered" | "failed";

/** One request, as it is kept: what the receiver said, or why it could not be asked. */
export interface DeliveryTry {
  readonly at: string;
  readonly duration_ms: number;
  /** Null when there was no answer. */
  readonly status: number | null;
  /** The first bytes of the answer. */
  readonly body: string | null;
  readonly error: string | null;
}

export interface Delivery {
  readonly id: string;
  readonly jobId: JobId | null;
  readonly event: string;
  readonly url: string;
  readonly status: DeliveryStatus;
  readonly attempt: number;
  /** Null once it has ended. */
  readonly nextAt: Date | null;
  readonly createdAt: Date;
  readonly endedAt: Date | null;
  readonly tries: readonly DeliveryTry[];
}

/** What a courier needs to send one. */
export interface ClaimedDelivery {
  readonly id: string;
  readonly leaseToken: number;
  readonly keyId: KeyId;
  readonly jobId: JobId | null;
  /** Of the request that made the job. */
  readonly traceparent: string | null;
  readonly event: string;
  readonly url: string;
  readonly host: string;
  readonly body: unknown;
  /** Of the try that this claim allows, from 1. */
  readonly attempt: number;
  readonly expiresAt: Date;
  readonly secrets: readonly string[];
}

/** How often an earlier event of the same job must have failed before a later one is no longer held back for it. */
const ORDER_TRIES_MAX = 8;
/** More than a receiver is shown; a delivery that was sent again by hand may have had many. */
const TRIES_KEPT = 50;

/** Both secrets of a key while the older one is still good. */
export const KEY_SECRETS = `array_remove(ARRAY[k.webhook_secret, CASE
  WHEN k.previous_webhook_secret_until > now() THEN k.previous_webhook_secret END], NULL)`;

// The hosts come by a walk over the index, one look-up for each: thousands of rows of a dead host cost nothing.
const CLAIM = `
WITH RECURSIVE hosts AS (
  (SELECT d.host FROM webhook_deliveries d WHERE d.status = 'pending' ORDER BY d.host LIMIT 1)
  UNION ALL
  SELECT (SELECT d.host FROM webhook_deliveries d WHERE d.status = 'pending' AND d.host > h.host ORDER BY d.host LIMIT 1)
  FROM hosts h WHERE h.host IS NOT NULL),
due AS (
  SELECT d.id, d.next_at FROM hosts h CROSS JOIN LATERAL (
    SELECT d.id, d.next_at FROM webhook_deliveries d
    WHERE d.status = 'pending' AND d.host = h.host AND d.next_at <= now() AND NOT EXISTS (
      SELECT FROM webhook_deliveries e
      WHERE e.status = 'pending' AND e.job_id = d.job_id AND e.seq < d.seq AND e.attempt < ${ORDER_TRIES_MAX})
    ORDER BY d.next_at LIMIT coalesce(($2::jsonb ->> h.host)::integer, $3::integer)
    FOR UPDATE SKIP LOCKED) d
  WHERE h.host IS NOT NULL
  ORDER BY d.next_at LIMIT $1::integer)
UPDATE webhook_deliveries d SET lease_token = d.lease_token + 1, attempt = d.attempt + 1,
  next_at = now() + $4::double precision * interval '1 millisecond',
  leased_until = now() + $4::double precision * interval '1 millisecond'
FROM due, api_keys k WHERE d.id = due.id AND k.id = d.key_id
RETURNING d.id, d.lease_token, d.key_id, d.event, d.url, d.host, d.body, d.attempt, d.expires_at, ${KEY_SECRETS} AS secrets,
  d.job_id, (SELECT j.traceparent FROM jobs j WHERE j.id = d.job_id) AS traceparent`;

export interface DeliveryClaimRequest {
  readonly limit: number;
  /** How many more a host may have at once, for hosts that already have some or are left alone (0). */
  readonly room: Readonly<Record<string, number>>;
  /** For every other host. */
  readonly perHost: number;
  readonly leaseMs: number;
}

export async function claimDeliveries(sql: SqlRunner, request: DeliveryClaimRequest): Promise<ClaimedDelivery[]> {
  const rows = await sql.query(CLAIM, [request.limit, json(request.room), request.perHost, request.leaseMs]);
  return rows.map((row) => ({
    id: row.id as string,
    leaseToken: row.lease_token as number,
    keyId: row.key_id as KeyId,
    jobId: row.job_id as JobId | null,
    traceparent: row.traceparent as string | null,
    event: row.event as string,
    url: row.url as string,
    host: row.host as string,
    body: row.body,
    attempt: row.attempt as number,
    expiresAt: row.expires_at as Date,
    secrets: row.secrets as string[],
  }));
}

export type DeliveryOutcome =
  | { readonly status: "delivered" }
  /** `gone`: the receiver answered 410, so nothing else is sent to this URL for this key. */
  | { readonly status: "failed"; readonly gone: boolean }
  /** In so many milliseconds; a delivery whose time is over by then fails instead. */
  | { readonly status: "pending"; readonly delayMs: number };

const RECORD = `
WITH held AS (
  SELECT d.* FROM webhook_deliveries d
  WHERE d.id = $1 AND d.lease_token = $2::bigint AND d.status = 'pending' FOR UPDATE),
verdict AS (
  SELECT h.id, h.key_id, h.url, now() + $4::double precision * interval '1 millisecond' AS again_at,
    CASE WHEN $3::text = 'pending' AND now() + $4::double precision * interval '1 millisecond' >= h.expires_at
      THEN 'failed' ELSE $3::text END AS status
  FROM held h),
changed AS (
  UPDATE webhook_deliveries d SET status = v.status, leased_until = NULL,
    next_at = CASE v.status WHEN 'pending' THEN v.again_at ELSE d.next_at END,
    ended_at = CASE WHEN v.status <> 'pending' THEN now() END,
    tries = CASE WHEN jsonb_array_length(d.tries) >= ${TRIES_KEPT} THEN d.tries - 0 ELSE d.tries END || $5::jsonb
  FROM verdict v WHERE d.id = v.id
  RETURNING d.status),
others AS (
  UPDATE webhook_deliveries d SET status = 'failed', ended_at = now()
  FROM verdict v WHERE $6::boolean AND d.key_id = v.key_id AND d.url = v.url AND d.status = 'pending' AND d.id <> v.id)
SELECT status FROM changed`;

/** Records a try's end. Null when the lease was lost: another courier has it, and the receiver gets it twice. */
export async function recordTry(
  sql: SqlRunner,
  delivery: Pick<ClaimedDelivery, "id" | "leaseToken">,
  outcome: DeliveryOutcome,
  made: DeliveryTry,
): Promise<DeliveryStatus | null> {
  const [row] = await sql.query<{ status: DeliveryStatus }>(RECORD, [
    delivery.id,
    delivery.leaseToken,
    outcome.status,
    outcome.status === "pending" ? outcome.delayMs : 0,
    json([made]),
    outcome.status === "failed" && outcome.gone,
  ]);
  return row?.status ?? null;
}

/** In how many milliseconds, by the database's clock, the next try is due; null when nothing waits. */
export async function nextDeliveryMs(sql: SqlRunner): Promise<number | null> {
  const [row] = await sql.query<{ ms: number | null }>(
    `SELECT ${millisecondsUntil("min(next_at)")} AS ms FROM webhook_deliveries WHERE status = 'pending'`,
  );
  return row?.ms ?? null;
}

const COLUMNS = "id, job_id, event, url, status, attempt, next_at, created_at, ended_at, tries";

function toDelivery(row: SqlRow): Delivery {
  const status = row.status as DeliveryStatus;
  return {
    id: row.id as string,
    jobId: row.job_id as JobId | null,
    event: row.event as string,
    url: row.url as string,
    status,
    attempt: row.attempt as number,
    nextAt: status === "pending" ? (row.next_at as Date) : null,
    createdAt: row.created_at as Date,
    endedAt: row.ended_at as Date | null,
    tries: row.tries as DeliveryTry[],
  };
}

/** A job's deliveries in the order of its events. */
export async function listDeliveries(sql: SqlRunner, jobId: JobId): Promise<Delivery[]> {
  const rows = await sql.query(`SELECT ${COLUMNS} FROM webhook_deliveries WHERE job_id = $1 ORDER BY seq`, [jobId]);
  return rows.map(toDelivery);
}

/** Sends again from the start, whatever became of it before; null when the job has no such delivery. */
export async function redeliver(
  sql: SqlRunner,
  { jobId, deliveryId }: { jobId: JobId; deliveryId: string },
): Promise<Delivery | null> {
  if (!isUuid(deliveryId)) return null;
  const [row] = await sql.query(
    `UPDATE webhook_deliveries SET status = 'pending', attempt = 0, next_at = now(), leased_until = NULL, ended_at = NULL,
       expires_at = now() + interval '24 hours', lease_token = lease_token + 1
     WHERE id = $2 AND job_id = $1 RETURNING ${COLUMNS}`,
    [jobId, deliveryId],
  );
  return row === undefined ? null : toDelivery(row);
}

/** The secrets that sign for a key, newest first; null when there is no such key or it has none. */
export async function webhookSecrets(sql: SqlRunner, keyId: KeyId): Promise<readonly string[] | null> {
  const [row] = await sql.query<{ secrets: string[] }>(
    `SELECT ${KEY_SECRETS} AS secrets FROM api_keys k WHERE k.id = $1`,
    [keyId],
  );
  return row === undefined || row.secrets.length === 0 ? null : row.secrets;
}
