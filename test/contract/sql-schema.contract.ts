/** The schema that the migrations make, on every engine. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { MIGRATIONS } from "../../migrations/index.ts";
import { migrate, pendingMigrations } from "../../src/database/migrate.ts";
import { json, type Sql, type SqlRunner } from "../../src/database/sql.ts";
import { queueRank } from "../../src/jobs/statements.ts";

/** design.md's tables. */
const TABLES = [
  "api_keys",
  "audit_log",
  "batches",
  "content_keys",
  "estimates",
  "idempotency_keys",
  "job_attempts",
  "job_logs",
  "job_outputs",
  "jobs",
  "key_usage",
  "leases",
  "liveness",
  "output_claims",
  "presets",
  "queue_pauses",
  "reusable_results",
  "schema_migrations",
  "settings",
  "staging",
  "storage_usage",
  "system_metrics",
  "uploads",
  "webhook_deliveries",
  "workers",
];

/** Indexes beside the primary keys: dropping one is a decision, not an accident. */
const INDEXES = [
  "batches_key_idx",
  "idempotency_keys_expiry_idx",
  "job_outputs_object_idx",
  "jobs_batch_idx",
  "jobs_class_idx",
  "jobs_key_idx",
  "jobs_key_rank_idx",
  "jobs_key_status_idx",
  "jobs_key_type_idx",
  "jobs_metadata_idx",
  "jobs_processing_idx",
  "jobs_retention_idx",
  "jobs_route_idx",
  "jobs_run_at_idx",
  "jobs_status_idx",
  "jobs_uploads_idx",
  "output_claims_job_idx",
  "reusable_results_job_idx",
  "system_metrics_at_idx",
  "uploads_deleted_idx",
  "uploads_expiry_idx",
  "uploads_key_idx",
  "uploads_unfinished_idx",
  "webhook_deliveries_batch_idx",
  "webhook_deliveries_due_idx",
  "webhook_deliveries_host_idx",
  "webhook_deliveries_job_idx",
  "webhook_deliveries_key_idx",
  "webhook_deliveries_order_idx",
  "workers_seen_idx",
];

const ID = "0190f3b6-0000-7000-8000-000000000000";
const CLAIM = `SELECT id FROM jobs WHERE status = 'queued' AND run_at <= now()
  ORDER BY coalesce(aged_priority, priority), queue_rank, id LIMIT 1 FOR UPDATE SKIP LOCKED`;

/** `open` gives an empty database of its own; the suite migrates and closes it. */
export function sqlSchemaContract(name: string, open: () => Promise<Sql>): void {
  let sql: Sql;

  describe(`Schema: ${name}`, () => {
    beforeAll(async () => {
      sql = await open();
    }, 60_000);
    afterAll(() => sql?.close());

    test("migrate applies everything once, in order", async () => {
      const names = MIGRATIONS.map((migration) => migration.name);
      expect(await pendingMigrations(sql)).toEqual(names);
      const runs = await Promise.all([migrate(sql), migrate(sql), migrate(sql)]);
      // Each by one of them, not all by the same.
      expect(runs.flatMap(({ applied }) => applied).toSorted()).toEqual(names);
      expect(await migrate(sql)).toEqual({ applied: [], ahead: [] });
      expect(await pendingMigrations(sql)).toEqual([]);
    }, 60_000);

    test("every table is there, with a primary key", async () => {
      const tables = await sql.query<{ name: string; keyed: boolean }>(
        `SELECT relname::text AS name,
           EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary) AS keyed
         FROM pg_class c WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY relname COLLATE "C"`,
      );
      expect(tables).toEqual(TABLES.map((table) => ({ name: table, keyed: true })));
    });

    test("every index is there and valid", async () => {
      const indexes = await sql.query<{ name: string }>(
        `SELECT c.relname::text AS name FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid
         WHERE c.relnamespace = 'public'::regnamespace AND c.relname LIKE '%\\_idx' AND i.indisvalid
         ORDER BY c.relname COLLATE "C"`,
      );
      expect(indexes.map((index) => index.name)).toEqual(INDEXES);
    });

    test("every foreign key has an index to find its children by", async () => {
      const missing = await sql.query(
        `SELECT f.conname::text AS name FROM pg_constraint f
         WHERE f.contype = 'f' AND f.connamespace = 'public'::regnamespace AND NOT EXISTS (
           SELECT 1 FROM pg_index i WHERE i.indrelid = f.conrelid AND i.indkey[0] = f.conkey[1])`,
      );
      expect(missing).toEqual([]);
    });

    test("a rank is read from the ends of indexes, however long a queue has become since its plan was made", async () => {
      const undone = new Error("The rows are not to stay.");
      const rank = `SELECT ${queueRank("given", "1")} AS rank FROM (SELECT '${ID}'::uuid AS key_id) AS given`;
      const pages = async (tx: SqlRunner): Promise<number> => {
        const [row] = await tx.query<{ "QUERY PLAN": unknown }>(`EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${rank}`);
        const text = JSON.stringify(row?.["QUERY PLAN"]);
        const [hit, read] = ["Hit", "Read"].map((kind) =>
          Number(text.match(`Shared ${kind} Blocks[^0-9]*(\\d+)`)?.[1]),
        );
        return (hit ?? Number.NaN) + (read ?? Number.NaN);
      };
      const work = sql.transaction(async (tx) => {
        await tx.query("INSERT INTO api_keys (id, name, digest, role) VALUES ($1, 'rank', '\\x00', 'user')", [ID]);
        const grow = (from: number, to: number) =>
          tx.query(
            `INSERT INTO jobs (id, key_id, type, status, priority, queue_rank, spec)
             SELECT gen_random_uuid(), $1, 'convert', 'queued', 1, n, '{}' FROM generate_series($2::integer, $3::integer) n`,
            [ID, from, to],
          );
        await grow(1, 200);
        // A function's plan is kept from the sixth time on.
        for (let times = 0; times < 8; times += 1) expect(await tx.query(rank)).toEqual([{ rank: 201 }]);
        await grow(201, 5_000);
        expect(await tx.query(rank)).toEqual([{ rank: 5_001 }]);
        expect(await pages(tx)).toBeLessThan(100);
        throw undone;
      });
      await expect(work).rejects.toBe(undone);
    });

    describe("with 15,000 jobs", () => {
      beforeAll(async () => {
        await sql.query(
          `INSERT INTO api_keys (id, name, digest, role)
           SELECT gen_random_uuid(), 'plan', decode(lpad(to_hex(n), 64, '0'), 'hex'), 'user' FROM generate_series(1, 100) n`,
        );
        await sql.query(
          `INSERT INTO jobs (id, key_id, type, status, priority, queue_rank, spec, completed_at)
           SELECT gen_random_uuid(), keys.ids[1 + n % 100], 'convert', CASE WHEN n % 3 = 0 THEN 'queued' ELSE 'completed' END,
             n % 3, random(), $1, CASE WHEN n % 3 = 0 THEN NULL ELSE now() END
           FROM generate_series(1, 15000) n, (SELECT array_agg(id) AS ids FROM api_keys) keys`,
          [json({ output: "x" })],
        );
        await sql.script(`UPDATE jobs SET status = 'processing', worker_id = gen_random_uuid()
          WHERE id IN (SELECT id FROM jobs WHERE status = 'queued' LIMIT 500); ANALYZE jobs;`);
      }, 60_000);

      const planOf = async (text: string): Promise<string> =>
        (await sql.query<{ "QUERY PLAN": string }>(`EXPLAIN ${text}`)).map((row) => row["QUERY PLAN"]).join("\n");

      test("a claim walks jobs_class_idx and sorts nothing", async () => {
        const plan = await planOf(CLAIM);
        expect(plan).toContain("Index Scan using jobs_class_idx on jobs");
        expect(plan).not.toContain("Sort");
      });

      test.each([
        ["a page of a key's jobs", `SELECT id FROM jobs WHERE key_id = '${ID}' ORDER BY id DESC LIMIT 50`, "jobs_key"],
        [
          "a page by status",
          "SELECT id FROM jobs WHERE status = 'failed' ORDER BY id DESC LIMIT 50",
          "jobs_status_idx",
        ],
        [
          "retention",
          "SELECT id FROM jobs WHERE completed_at < now() - interval '30 days' LIMIT 500",
          "jobs_retention_idx",
        ],
        [
          "what a worker holds",
          `SELECT id FROM jobs WHERE status = 'processing' AND worker_id = '${ID}'`,
          "jobs_processing_idx",
        ],
        ["a search in metadata", `SELECT id FROM jobs WHERE metadata @> '{"a": 1}'`, "jobs_metadata_idx"],
      ])("%s uses an index", async (_, text, index) => {
        const plan = await planOf(text);
        expect(plan).toContain(index);
        expect(plan).not.toContain("Seq Scan on jobs");
      });

      test("claims at once never get the same job", async () => {
        const claim = () =>
          sql.query<{ id: string }>(
            `UPDATE jobs SET status = 'processing', worker_id = '${ID}' WHERE id = (${CLAIM}) RETURNING id`,
          );
        const ids = (await Promise.all(Array.from({ length: 30 }, claim))).flat().map((row) => row.id);
        expect(new Set(ids).size).toBe(30);
      });
    });
  });
}
