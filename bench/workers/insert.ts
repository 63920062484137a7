/** The baseline of submissions: the row of a job, inserted by the product's driver with the product's pool. */
import { openPostgres } from "../../src/database/postgres/open-postgres.ts";
import { json, type SqlRow } from "../../src/database/sql.ts";
import { generate } from "../lib/load.ts";

export interface InsertOptions {
  readonly url: string;
  readonly poolSize: number;
  readonly loops: number;
  readonly durationMs: number;
}

const INSERT = `
INSERT INTO jobs (id, key_id, type, status, priority, queue_rank, spec, metadata, webhook_events, request_id, warnings,
  log_seq)
VALUES ($1, $2, $3, 'queued', $4::smallint, $5::double precision, $6::jsonb, $7::jsonb, $8::text[], $9, $10::jsonb, 1)`;

const { url, poolSize, loops, durationMs } = JSON.parse(process.argv[2] ?? "") as InsertOptions;
const sql = await openPostgres({ url, poolSize, statementTimeoutMs: 5_000, applicationName: "bench" });
const [row] = await sql.query<SqlRow>("SELECT * FROM jobs ORDER BY id LIMIT 1");
if (row === undefined) throw new Error("There is no job whose row could be inserted again.");
await generate(loops, durationMs, async () => {
  await sql.query(INSERT, [
    Bun.randomUUIDv7(),
    row.key_id as string,
    row.type as string,
    row.priority as number,
    row.queue_rank as number,
    json(row.spec),
    json(row.metadata),
    row.webhook_events as string[],
    row.request_id as string,
    json(row.warnings),
  ]);
});
await sql.close();
