/**
 * The fence: the point after which a job is published, by its holder or by whoever takes it over.
 *
 * One statement checks the write guard, that no cancel was requested and that no other job holds any of the keys, takes
 * the keys in sorted order (so that two jobs never wait for each other in a circle), and stores the manifest. All or
 * nothing: a job that has to wait holds no key while it waits.
 */
import { json, SqlConflict, type SqlRunner } from "../database/sql.ts";
import { RendiffError } from "../errors.ts";
import type { ObjectRef } from "../storage/port.ts";
import { HELD, NO_KEY_IS_BUSY, NOT_CANCELLED, NOT_PUBLISHING } from "./guards.ts";
import { isInPublishingOrder } from "./publish-order.ts";
import { appendEvent, milliseconds } from "./statements.ts";
import type { Lease, PublishManifest } from "./types.ts";

export type FenceResult = "fenced" | "lost" | "cancel_requested" | { readonly waitFor: ObjectRef };

const FENCE = `
WITH held AS (SELECT j.* FROM jobs j WHERE ${HELD} FOR UPDATE),
wanted AS (
  SELECT DISTINCT step -> 'staged' ->> 'backend' AS backend, step -> 'staged' ->> 'key' AS key
  FROM jsonb_array_elements($4::jsonb -> 'steps') AS step),
busy AS (
  SELECT c.backend, c.key FROM output_claims c JOIN wanted w ON w.backend = c.backend AND w.key = c.key
  WHERE c.job_id <> $1 ORDER BY 1, 2 LIMIT 1),
passing AS (
  SELECT j.id FROM held j WHERE ${NOT_PUBLISHING} AND ${NOT_CANCELLED} AND ${NO_KEY_IS_BUSY}),
taken AS (
  INSERT INTO output_claims (backend, key, job_id)
  SELECT w.backend, w.key, p.id FROM wanted w, passing p
  WHERE NOT EXISTS (SELECT FROM output_claims c WHERE c.backend = w.backend AND c.key = w.key AND c.job_id = p.id)
  ORDER BY w.backend, w.key),
fenced AS (
  UPDATE jobs j SET manifest = $4::jsonb, publish_deadline_at = now() + ${milliseconds("$5")}, stage = 'publishing',
    updated_at = now(), log_seq = j.log_seq + 1
  FROM passing p WHERE j.id = p.id
  RETURNING j.id, j.log_seq),
${appendEvent("fenced", "'job.stage'", `jsonb_build_object('stage', 'publishing')`)}
SELECT EXISTS (SELECT FROM fenced) AS fenced, (j.manifest ->> 'leaseToken')::bigint AS manifest_token,
  j.cancel_requested_at IS NOT NULL AS cancel_requested, b.backend, b.key
FROM held j LEFT JOIN busy b ON true`;

interface FenceRow {
  fenced: boolean;
  manifest_token: number | null;
  cancel_requested: boolean;
  backend: string | null;
  key: string | null;
}

/** A key that was taken while this statement waited for it: looked at again, it is busy or free. */
const RACES_MAX = 5;

/**
 * Passes the fence. Asking again after an unknown outcome answers `fenced` when the manifest in the row is this lease's.
 * `waitFor` names a key that another job is publishing; nothing was changed. Not to be called inside a transaction: a
 * key taken at the same instant ends the statement.
 */
export async function fence(
  sql: SqlRunner,
  lease: Lease,
  manifest: PublishManifest,
  publishTimeoutMs: number,
): Promise<FenceResult> {
  if (manifest.leaseToken !== lease.leaseToken) {
    throw new RendiffError({ kind: "internal", publicMessage: "The manifest belongs to another lease." });
  }
  if (!isInPublishingOrder(manifest.steps)) {
    throw new RendiffError({ kind: "internal", publicMessage: "Playlists and manifests are published last." });
  }
  for (let race = 0; ; race += 1) {
    try {
      const [row] = await sql.query<FenceRow>(FENCE, [
        lease.jobId,
        lease.leaseToken,
        lease.workerId,
        json(manifest),
        publishTimeoutMs,
      ]);
      return toFenceResult(row, lease);
    } catch (thrown) {
      if (!(thrown instanceof SqlConflict) || race >= RACES_MAX) throw thrown;
    }
  }
}

function toFenceResult(row: FenceRow | undefined, lease: Lease): FenceResult {
  if (row === undefined) return "lost";
  if (row.fenced) return "fenced";
  if (row.manifest_token !== null) {
    if (row.manifest_token === lease.leaseToken) return "fenced";
    throw new RendiffError({ kind: "internal", publicMessage: "The job already has a manifest to roll forward." });
  }
  if (row.cancel_requested) return "cancel_requested";
  if (row.backend === null || row.key === null) {
    throw new RendiffError({ kind: "internal", publicMessage: "The fence was neither passed nor refused." });
  }
  return { waitFor: { backend: row.backend, key: row.key } };
}

export type FenceState = "fenced" | "not_fenced" | "cancel_requested" | "lost";

/**
 * What the row says after a fence whose answer never came. `lost` says nothing about the staging: the manifest may name
 * this token and a successor may be publishing it, so it is left to `ownStagingToDelete` to decide.
 */
export async function readFence(sql: SqlRunner, lease: Lease): Promise<FenceState> {
  const [row] = await sql.query<{ manifest_token: number | null; cancel_requested: boolean }>(
    `SELECT (j.manifest ->> 'leaseToken')::bigint AS manifest_token, j.cancel_requested_at IS NOT NULL AS cancel_requested
     FROM jobs j WHERE ${HELD}`,
    [lease.jobId, lease.leaseToken, lease.workerId],
  );
  if (row === undefined) return "lost";
  if (row.manifest_token === lease.leaseToken) return "fenced";
  return row.cancel_requested ? "cancel_requested" : "not_fenced";
}
