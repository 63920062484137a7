/** What a key may still make in this calendar month (UTC, by the database's clock). */
import type { SqlRunner } from "../database/sql.ts";
import { RendiffError } from "../errors.ts";
import type { Principal } from "../security/principal.ts";

const USED = `
SELECT coalesce(u.output_seconds, 0) AS seconds, m.next AT TIME ZONE 'UTC' AS resets_at,
  ceil(extract(epoch FROM m.next - now() AT TIME ZONE 'UTC'))::integer AS left_seconds
FROM (SELECT date_trunc('month', now() AT TIME ZONE 'UTC') AS this,
  date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month' AS next) m
LEFT JOIN key_usage u ON u.key_id = $1 AND u.month = m.this::date`;

/**
 * Throws `request.quota_exceeded` when the key's outputs of this month have used up its minutes. What runs at the moment
 * counts when it is done, so a key can exceed its limit by what it has running.
 */
export async function requireQuota(
  sql: SqlRunner,
  { keyId, monthlyLimitMinutes: limitMinutes }: Pick<Principal, "keyId" | "monthlyLimitMinutes">,
): Promise<void> {
  if (limitMinutes === null) return;
  const [used] = await sql.query<{ seconds: number; resets_at: Date; left_seconds: number }>(USED, [keyId]);
  if (used === undefined || used.seconds < limitMinutes * 60) return;
  const resets = used.resets_at.toISOString().slice(0, 10);
  throw new RendiffError({
    kind: "request.quota_exceeded",
    publicMessage: `This key's ${limitMinutes} minutes of output media for this month are used up; it has them again on ${resets} (UTC).`,
    retryAfterSeconds: used.left_seconds,
  });
}
