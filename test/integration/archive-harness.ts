/** A database with rows in every state, and archives as bytes in memory. */
import { MIGRATIONS } from "../../migrations/index.ts";
import type { ArchiveSummary } from "../../src/archive/format.ts";
import { importArchive } from "../../src/archive/import-archive.ts";
import { writeArchive } from "../../src/archive/write-archive.ts";
import { migrate } from "../../src/database/migrate.ts";
import { json, type Sql } from "../../src/database/sql.ts";
import { appendAudit } from "../../src/security/audit.ts";

const KEYS = `INSERT INTO api_keys (id, name, digest, role, allowed_operations, weight, webhook_secret, created_at)
  SELECT md5('key ' || n)::uuid, 'key ' || n, sha256(n::text::bytea), 'user',
    CASE n WHEN 1 THEN NULL WHEN 2 THEN '{}'::text[] ELSE ARRAY['scale', 'a "quoted", {odd} \\one', 'NULL', ''] END,
    0.1 + n, E'tab\\there\\nand a line \\u2028 "quote" \\\\', '2026-01-02 03:04:05.678901+00'::timestamptz
  FROM generate_series(1, 5) n`;

const BATCH = `INSERT INTO batches (id, key_id, mode, metadata, job_count, open_count)
  VALUES (md5('batch')::uuid, md5('key 1')::uuid, 'partial', '{"a": null}', 5, 1)`;

/** One in five is queued, running, completed, failed, cancelled. */
const JOBS = `INSERT INTO jobs (id, key_id, type, status, progress, priority, aged_priority, queue_rank, spec, metadata, plan,
    error, attempt, lease_token, worker_id, log_seq, batch_id, webhook_events, created_at, started_at, completed_at)
  SELECT md5('job ' || n)::uuid, md5('key ' || (1 + n % 5))::uuid, 'convert',
    (ARRAY['queued', 'processing', 'completed', 'failed', 'cancelled'])[1 + n % 5], n % 100, n % 3,
    CASE WHEN n % 7 = 0 THEN 0 END, 1.0e9 + n / 3.0::double precision,
    jsonb_build_object('input', 'local://ä/' || n || '.mov', 'number', 12345678901234567890.123456789, 'none', NULL),
    to_jsonb('a string, which is JSON too'::text), CASE WHEN n % 2 = 0 THEN jsonb_build_object('argv', repeat('x', 500)) END,
    CASE n % 5 WHEN 3 THEN '{"kind": "ffmpeg.failed", "message": "no"}'::jsonb END, n % 4, n * 1000003::bigint,
    CASE n % 5 WHEN 1 THEN md5('worker')::uuid END, 2, CASE WHEN n % 50 = 0 THEN md5('batch')::uuid END,
    ARRAY['completed'], now() - interval '1 microsecond' * n, CASE WHEN n % 5 > 0 THEN now() END,
    CASE WHEN n % 5 > 1 THEN now() END
  FROM generate_series(1, $1::integer) n`;

const OF_JOBS = [
  `INSERT INTO job_logs (job_id, seq, type, data) SELECT j.id, s, 'job.queued', jsonb_build_object('at', s)
   FROM jobs j, generate_series(1, 2) s`,
  `INSERT INTO job_attempts (job_id, attempt, lease_token, worker_id) SELECT id, 1, lease_token, md5('worker')::uuid
   FROM jobs WHERE status <> 'queued'`,
  `INSERT INTO job_outputs (job_id, ordinal, role, backend, key, uri, size_bytes, sha256, media_type, media, identity)
   SELECT id, 0, 'primary', 'local', id || '.mp4', 'local://' || id || '.mp4', 9007199254740991, repeat('0', 64),
     'video/mp4', '{"durationSeconds": 1.5}', 'inode' FROM jobs WHERE status = 'completed'`,
  `INSERT INTO webhook_deliveries (id, job_id, key_id, event, url, body) SELECT md5('hook ' || id)::uuid, id, key_id,
     'job.completed', 'https://example.com/', '[1, "two"]' FROM jobs WHERE status = 'completed'`,
  `INSERT INTO staging (job_id, lease_token, backend, key) SELECT id, lease_token, 'local', 'Ä' || id FROM jobs
   WHERE status = 'processing'`,
  `INSERT INTO output_claims (backend, key, job_id) SELECT 'local', k, md5('job 1')::uuid
   FROM unnest(ARRAY['b', 'B', 'a', 'A', '_', 'ä', 'Z z', '']) k`,
  `INSERT INTO workers (id, role, version, slots, priorities, seen_tick)
   VALUES (md5('worker')::uuid, 'worker', '1', 2, ARRAY[0, 2]::smallint[], 1)`,
  `INSERT INTO idempotency_keys (key_id, idempotency_key, route, body_sha256, response_status, response_body, locked_until, expires_at)
   SELECT md5('key 1')::uuid, k, '/convert', '', 201, 'null'::jsonb, now(), now() + interval '1 day' FROM unnest(ARRAY['b', 'B', 'a']) k`,
  `INSERT INTO presets (key_id, name, spec) VALUES (md5('key 1')::uuid, 'mine', '{}')`,
  `INSERT INTO key_usage (key_id, month, output_seconds) VALUES (md5('key 1')::uuid, '2026-11-01', 1 / 3.0)`,
  `INSERT INTO storage_usage (backend, key_id, size_bytes) VALUES ('local', md5('key 1')::uuid, 77)`,
  `INSERT INTO content_keys (token_hash, job_id, content_key) VALUES ('\\x00ff', md5('job 1')::uuid, '\\x${"00".repeat(16)}')`,
  `INSERT INTO queue_pauses (priority, paused_by) VALUES (2, 'admin')`,
  `UPDATE liveness SET tick = 4711`,
];

/** Rows in every table that has a part in a job's life. */
export async function fill(sql: Sql, jobs: number): Promise<void> {
  await sql.query(KEYS);
  await sql.query(BATCH);
  await sql.query(JOBS, [jobs]);
  for (const statement of OF_JOBS) await sql.query(statement);
  for (const action of ["key.created", "key.revoked"]) {
    await sql.transaction((tx) =>
      appendAudit(tx, {
        ...{ actor: "cli", action, target: null, address: null, requestId: null },
        data: { nested: [json(1).value] },
      }),
    );
  }
}

export interface Archived {
  readonly text: string;
  readonly summary: ArchiveSummary;
}

export async function archive(sql: Sql, onWrite: (text: string) => Promise<void> = async () => {}): Promise<Archived> {
  const texts: string[] = [];
  const summary = await writeArchive(sql, {
    version: "test",
    migrations: MIGRATIONS,
    async write(text) {
      texts.push(text);
      await onWrite(text);
    },
  });
  return { text: texts.join(""), summary };
}

/** In pieces of an odd size, so that lines and characters are cut anywhere. */
export async function* pieces(text: string, bytes = 8_191): AsyncGenerator<Uint8Array> {
  const all = Buffer.from(text);
  for (let at = 0; at < all.length; at += bytes) yield all.subarray(at, at + bytes);
}

export const restore = (sql: Sql, text: string) =>
  importArchive(sql, pieces(text), {
    migrations: MIGRATIONS,
    migrate: async (migrations) => void (await migrate(sql, { migrations })),
  });

/** Without what says when and by whom it was written. */
export const body = (text: string): string[] => text.trimEnd().split("\n").slice(1, -1);
