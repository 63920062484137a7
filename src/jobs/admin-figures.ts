/** What an administrator sees of the last day, in one statement. */
import type { SqlRunner } from "../database/sql.ts";

export interface AdminFigures {
  /** Jobs that ended in the last 24 hours. */
  readonly ended: Readonly<Record<"completed" | "failed" | "cancelled", number>>;
  readonly webhooks: { readonly pending: number; readonly failed_24h: number };
  /** By storage backend. */
  readonly outputBytes: Readonly<Record<string, number>>;
}

const FIGURES = `
WITH ended AS (
  SELECT status, count(*)::integer AS n FROM jobs WHERE completed_at > now() - interval '24 hours' GROUP BY status),
stored AS (
  SELECT backend, sum(size_bytes)::double precision AS bytes FROM storage_usage WHERE object_count > 0 GROUP BY backend)
SELECT coalesce((SELECT jsonb_object_agg(status, n) FROM ended), '{}') AS ended,
  coalesce((SELECT jsonb_object_agg(backend, bytes) FROM stored), '{}') AS stored,
  (SELECT count(*)::integer FROM webhook_deliveries WHERE status = 'pending') AS pending,
  (SELECT count(*)::integer FROM webhook_deliveries
   WHERE status = 'failed' AND ended_at > now() - interval '24 hours') AS failed`;

export async function adminFigures(sql: SqlRunner): Promise<AdminFigures> {
  const [row] = await sql.query<{
    ended: Partial<AdminFigures["ended"]>;
    stored: Record<string, number>;
    pending: number;
    failed: number;
  }>(FIGURES);
  return {
    ended: { completed: 0, failed: 0, cancelled: 0, ...row?.ended },
    webhooks: { pending: row?.pending ?? 0, failed_24h: row?.failed ?? 0 },
    outputBytes: row?.stored ?? {},
  };
}
