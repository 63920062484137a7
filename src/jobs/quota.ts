/** What a key may still make in this calendar month (UTC, by the database's clock). */
import type { SqlRunner } from "../database/sql.ts";
import { RendiffError } from "../errors.ts";
import type { KeyId } from "./types.ts";

const USED = `
SELECT coalesce(sum((o.media ->> 'durationSeconds')::double precision), 0) AS seconds,
  ceil(extract(epoch FROM date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month' - now() AT TIME ZONE 'UTC'))
    ::integer AS left_seconds
FROM job_outputs o JOIN jobs j ON j.id = o.job_id
WHERE j.key_id = $1 AND j.completed_at >= date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'`;

/**
 * Throws `request.quota_exceeded` when the key's outputs of this month have used up its minutes. What runs at the moment
 * counts when it is done, so a key can exceed its limit by what it has running.
 */
export async function requireQuota(sql: SqlRunner, keyId: KeyId, limitMinutes: number): Promise<void> {
  const [used] = await sql.query<{ seconds: number; left_seconds: number }>(USED, [keyId]);
  if (used === undefined || used.seconds < limitMinutes * 60) return;
  throw new RendiffError({
    kind: "request.quota_exceeded",
    publicMessage: `This key's ${limitMinutes} minutes of output media for this month are used up.`,
    retryAfterSeconds: used.left_seconds,
  });
}
