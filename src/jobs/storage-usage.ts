/**
 * What jobs' outputs occupy, by key and backend: kept by the very statements that record outputs and their deletion, so that it
 * is never a scan and never wrong by a crash in between.
 */
import type { SqlRunner } from "../database/sql.ts";

/**
 * A data-modifying CTE: adds the rows of `changes` (`key_id, backend, size_bytes, object_count`; negative for what went) to
 * their accounts, each of which one statement can change only once.
 */
export const countStored = (changes: string): string => `
counted AS (
  INSERT INTO storage_usage (backend, key_id, size_bytes, object_count)
  SELECT c.backend, c.key_id, sum(c.size_bytes), sum(c.object_count) FROM ${changes} c
  GROUP BY c.backend, c.key_id ORDER BY c.key_id, c.backend
  ON CONFLICT (key_id, backend) DO UPDATE SET size_bytes = greatest(0, storage_usage.size_bytes + excluded.size_bytes),
    object_count = greatest(0, storage_usage.object_count + excluded.object_count), updated_at = now())`;

/** Takes the rows of `removed` (`key_id, backend, size_bytes`) away. */
export const uncountStored = (removed: string): string => `
uncounted AS (
  UPDATE storage_usage u SET size_bytes = greatest(0, u.size_bytes - r.size_bytes),
    object_count = greatest(0, u.object_count - r.object_count), updated_at = now()
  FROM (SELECT key_id, backend, sum(size_bytes) AS size_bytes, count(*) AS object_count
    FROM ${removed} GROUP BY key_id, backend) r
  WHERE u.key_id = r.key_id AND u.backend = r.backend)`;

export interface StorageUsage {
  readonly backend: string;
  readonly keyId: string;
  readonly sizeBytes: number;
  readonly objectCount: number;
}

/** The largest accounts first, at most `limit`. */
export async function listStorageUsage(sql: SqlRunner, { limit }: { limit: number }): Promise<readonly StorageUsage[]> {
  return await sql.query<StorageUsage & Record<string, never>>(
    `SELECT backend, key_id AS "keyId", size_bytes::double precision AS "sizeBytes",
       object_count::double precision AS "objectCount"
     FROM storage_usage WHERE object_count > 0 ORDER BY size_bytes DESC, key_id, backend LIMIT $1::integer`,
    [limit],
  );
}

/** Of all keys together, by backend. */
export async function storedBytes(sql: SqlRunner): Promise<readonly Omit<StorageUsage, "keyId">[]> {
  return await sql.query<Omit<StorageUsage, "keyId"> & Record<string, never>>(
    `SELECT backend, sum(size_bytes)::double precision AS "sizeBytes",
       sum(object_count)::double precision AS "objectCount"
     FROM storage_usage GROUP BY backend ORDER BY backend`,
  );
}
