/** Estimates that were given, so that the jobs they were for record how far off they were (`estimate_outcome`). */
import { json, type SqlRunner } from "../database/sql.ts";
import type { Estimate } from "../media/measure/estimate.ts";
import type { ConvertSpec } from "./convert.schema.ts";
import type { KeyId } from "./types.ts";

/** After this nobody submits what they asked about. */
const KEPT_DAYS = 7;

/** The newest of a spec counts. */
export async function keepEstimate(sql: SqlRunner, keyId: KeyId, spec: ConvertSpec, estimate: Estimate): Promise<void> {
  await sql.query(
    `WITH old AS (DELETE FROM estimates WHERE key_id = $1 AND created_at < now() - make_interval(days => $6)
       AND spec_digest <> md5($2::jsonb::text))
     INSERT INTO estimates (key_id, spec_digest, seconds, bytes, memory_bytes)
     VALUES ($1, md5($2::jsonb::text), $3, $4, $5)
     ON CONFLICT (key_id, spec_digest) DO UPDATE SET seconds = excluded.seconds, bytes = excluded.bytes,
       memory_bytes = excluded.memory_bytes, created_at = now()`,
    [keyId, json(spec), estimate.seconds.value, estimate.bytes.value, estimate.memoryBytes?.value ?? null, KEPT_DAYS],
  );
}
