/** An archive carries everything, both ways between the engines; what is no whole archive changes nothing. */
import { describe, expect, test } from "bun:test";
import { MIGRATIONS } from "../../migrations/index.ts";
import { tablesOf } from "../../src/archive/catalog.ts";
import { checkArchive } from "../../src/archive/read-archive.ts";
import { migrate } from "../../src/database/migrate.ts";
import { openPglite } from "../../src/database/pglite/open-pglite.ts";
import { openPostgres } from "../../src/database/postgres/open-postgres.ts";
import type { Sql } from "../../src/database/sql.ts";
import { RendiffError } from "../../src/errors.ts";
import { claimJob } from "../../src/jobs/claim.ts";
import { listAudit, verifyAudit } from "../../src/security/audit.ts";
import { insertKey, makeWorker } from "../faults/protocol-harness.ts";
import { afterFile } from "../support/cleanup.ts";
import { testEnv } from "../support/env.ts";
import { createDatabase } from "../support/postgres.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { archive, body, fill, pieces, restore } from "./archive-harness.ts";

const JOBS = testEnv().long ? 10_000 : 300;
const TIMEOUT_MS = 20_000 + JOBS * 30;

async function empty(engine: "pglite" | "postgres"): Promise<Sql> {
  const statementTimeoutMs = 60_000;
  const sql =
    engine === "pglite"
      ? await openPglite({ dataDir: await makeTempDir("archive"), statementTimeoutMs })
      : await openPostgres({
          ...{ url: (await createDatabase()).url, poolSize: 4, statementTimeoutMs, applicationName: "archive" },
        });
  afterFile(() => sql.close());
  return sql;
}

async function filled(engine: "pglite" | "postgres", jobs = 20): Promise<Sql> {
  const sql = await empty(engine);
  await migrate(sql);
  await fill(sql, jobs);
  return sql;
}

/** Of twenty jobs, made once. */
let shared: Promise<string> | null = null;
const sharedText = (): Promise<string> => {
  shared ??= filled("pglite").then(async (sql) => (await archive(sql)).text);
  return shared;
};

const failure = (work: Promise<unknown>): Promise<RendiffError> =>
  work.then(
    () => {
      throw new Error("It did not fail.");
    },
    (error: unknown) => {
      expect(error).toBeInstanceOf(RendiffError);
      return error as RendiffError;
    },
  );

const countJobs = async (sql: Sql): Promise<number> =>
  (await sql.query<{ jobs: number }>("SELECT count(*) AS jobs FROM jobs"))[0]?.jobs ?? -1;

describe("there and back", () => {
  test(
    `${JOBS} jobs keep every row, from embedded to Postgres and back`,
    async () => {
      const first = await archive(await filled("pglite", JOBS));
      expect(first.summary.tables.find(({ end }) => end === "jobs")?.rows).toBe(JOBS);
      const used = first.summary.tables.filter(({ rows }) => rows > 0).map(({ end }) => end);
      expect(used.length).toBeGreaterThanOrEqual(18);
      const postgres = await empty("postgres");
      expect((await restore(postgres, first.text)).summary).toEqual(first.summary);
      const second = await archive(postgres);
      expect(body(second.text)).toEqual(body(first.text));
      const back = await empty("pglite");
      await restore(back, second.text);
      expect(body((await archive(back)).text)).toEqual(body(first.text));
    },
    TIMEOUT_MS,
  );

  test("what goes on there goes on: claims in order, the chain of the audit log, sequences", async () => {
    for (const engine of ["pglite", "postgres"] as const) {
      const from = await filled(engine);
      const sql = await empty(engine === "pglite" ? "postgres" : "pglite");
      await restore(sql, (await archive(from)).text);
      const claim = async (db: Sql) =>
        (await claimJob(db, { workerId: await makeWorker(db), jobTypes: null, priorities: null }))?.lease.jobId;
      expect(await claim(sql)).toBe((await claim(from)) as never);
      expect(await verifyAudit(sql)).toEqual({ ok: true, rows: 2 });
      expect(await listAudit(sql, { limit: 5 })).toEqual(await listAudit(from, { limit: 5 }));
      const next = `INSERT INTO webhook_deliveries (id, event, url, body) VALUES (gen_random_uuid(), '', '', '{}') RETURNING seq`;
      expect(await sql.query(next)).toEqual(await from.query(next));
      expect(await sql.query("SELECT tick FROM liveness")).toEqual([{ tick: 4711 }]);
      // The triggers work again: an end is told to whoever asked.
      const told = "SELECT count(*) AS n FROM webhook_deliveries WHERE event = 'job.cancelled'";
      await sql.query(`UPDATE jobs SET status = 'cancelled', completed_at = now(), webhook_events = ARRAY['cancelled'],
        webhook_url = 'https://example.com/' WHERE id = (SELECT id FROM jobs WHERE status = 'queued' LIMIT 1)`);
      expect(await sql.query(told)).toEqual([{ n: 1 }]);
    }
  }, 60_000);

  test("every table of the migrations is carried, and none has rows before its first use but the seeded", async () => {
    const sql = await empty("pglite");
    await migrate(sql);
    const tables = await sql.query<{ name: string }>(
      "SELECT relname::text AS name FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace",
    );
    expect([...tablesOf(MIGRATIONS), "schema_migrations"].sort()).toEqual(tables.map(({ name }) => name).sort());
    const { summary } = await archive(sql);
    expect(summary.tables.filter(({ rows }) => rows > 0).map(({ end }) => end)).toEqual(["liveness"]);
  });

  test("tables that are renamed and dropped are followed", () => {
    const texts = [
      "CREATE TABLE a (x int);\nCREATE TABLE IF NOT EXISTS b ();",
      "ALTER TABLE a RENAME TO c;\nDROP TABLE b;",
    ];
    expect(tablesOf(texts.map((text) => ({ text })))).toEqual(["c"]);
  });

  test("an archive is one moment, whatever is written meanwhile", async () => {
    const sql = await filled("postgres");
    let added = 0;
    const { summary, text } = await archive(sql, async (line) => {
      if (!line.startsWith('{"table"')) return;
      await insertKey(sql);
      added += 1;
    });
    expect(added).toBeGreaterThan(10);
    expect(summary.tables.find(({ end }) => end === "api_keys")?.rows).toBe(5);
    expect((await checkArchive(pieces(text, 7))).summary).toEqual(summary);
  });
});

describe("versions", () => {
  /** An archive of a program that knew only the first three migrations. */
  async function old(): Promise<string> {
    const sql = await empty("pglite");
    const migrations = MIGRATIONS.slice(0, 3);
    await migrate(sql, { migrations });
    const keyId = await insertKey(sql);
    await sql.query(
      `INSERT INTO jobs (id, key_id, type, status, priority, queue_rank, spec, completed_at)
       VALUES ($1, $2, 'convert', 'completed', 1, 0, '{}', now())`,
      [keyId, keyId],
    );
    await sql.query(
      `INSERT INTO job_outputs (job_id, ordinal, role, backend, key, uri, size_bytes, sha256, media_type, media, identity)
       VALUES ($1, 0, 'primary', 'local', 'a', 'local://a', 42, '', 'video/mp4', '{}', 'inode')`,
      [keyId],
    );
    return (await archive(sql)).text;
  }

  test("an older version's rows go through the migrations that it lacked", async () => {
    const text = await old();
    const sql = await empty("postgres");
    await restore(sql, text);
    expect(await sql.query("SELECT size_bytes, object_count FROM storage_usage")).toEqual([
      { size_bytes: 42, object_count: 1 },
    ]);
    expect(await migrate(sql)).toEqual({ applied: [], ahead: [] });
    const migrated = await empty("postgres");
    await migrate(migrated);
    expect(await failure(restore(migrated, text))).toMatchObject({
      kind: "request.conflict",
      publicMessage: expect.stringContaining("0015_storage_usage"),
    });
  });

  test("a newer version's archive is refused by name, and so is a database that is newer than the program", async () => {
    const text = await sharedText();
    const newer = text.replace('"0003_access"', '"9999_later"');
    const sql = await empty("pglite");
    expect(await failure(restore(sql, newer))).toMatchObject({
      kind: "request.unsupported",
      publicMessage: expect.stringContaining("9999_later"),
    });
    await migrate(sql);
    await sql.query("INSERT INTO schema_migrations (name, sha256) VALUES ('9999_later', '')");
    expect(await failure(archive(sql))).toMatchObject({ kind: "request.unsupported" });
    const other = text.replace('{"rendiff_archive":1', '{"rendiff_archive":2');
    expect((await failure(restore(sql, other))).publicMessage).toContain("format 2");
  });
});

describe("what is refused", () => {
  test("a database that was used: nothing of it changes", async () => {
    const text = await sharedText();
    const sql = await empty("postgres");
    await migrate(sql);
    await sql.query("INSERT INTO settings (name, value) VALUES ('signing_secret', 'x')");
    const error = await failure(restore(sql, text));
    expect(error.kind).toBe("request.conflict");
    expect(error.publicMessage).toContain("settings");
    expect(await countJobs(sql)).toBe(0);
    expect(await sql.query("SELECT tick FROM liveness")).toEqual([{ tick: 0 }]);
  });

  test("of two imports at once one is refused", async () => {
    const text = await sharedText();
    const sql = await empty("postgres");
    const both = await Promise.allSettled([restore(sql, text), restore(sql, text)]);
    expect(both.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(await countJobs(sql)).toBe(20);
  });

  test("a database that has no Rendiff in it cannot be exported", async () => {
    expect((await failure(archive(await empty("postgres")))).kind).toBe("request.not_found");
  });

  test("an archive that was cut off, changed, mixed up or continued leaves the database empty", async () => {
    const text = await sharedText();
    const lines = text.trimEnd().split("\n");
    const row = lines.findIndex((line) => line.startsWith('["') && line.includes("key 1"));
    const logs = lines.findIndex((line) => line.startsWith('{"table":"job_logs"'));
    const without = (at: number) => lines.toSpliced(at, 1);
    const damaged: Record<string, string> = {
      nothing: "",
      "no archive": "hello\n",
      "other JSON": '{"a":1}\n',
      "a cut-off line": text.slice(0, -5),
      "no end": `${lines.slice(0, -1).join("\n")}\n`,
      half: `${lines.slice(0, lines.length / 2).join("\n")}\n`,
      "a row less": `${without(row).join("\n")}\n`,
      "a row twice": `${lines.toSpliced(row, 0, lines[row] as string).join("\n")}\n`,
      "a changed value": text.replace('"key 1"', '"key 9"'),
      "a value that is none of its type": text.replace(/"2026-01-02 03:04:05.678901\+00"/, '"yesterday?"'),
      "a changed count": text.replace(/("end":"jobs","rows":)\d+/, "$121"),
      "rows in another order": `${lines
        .with(row, lines[row + 1] as string)
        .with(row + 1, lines[row] as string)
        .join("\n")}\n`,
      "a table less": `${lines.toSpliced(logs, lines.findIndex((line) => line.startsWith('{"end":"job_logs"')) - logs + 1).join("\n")}\n`,
      "no sequences": `${lines.filter((line) => !line.startsWith('{"sequences"')).join("\n")}\n`,
      "more behind the end": `${text}["x"]\n`,
      "no text": `${lines[0]}\n\xff`,
      "no migrations": text.replace(/"migrations":\[.*?\]/, '"migrations":[]'),
      "no first migration": text.replace(/"migrations":\[\{.*?\},/, '"migrations":['),
    };
    const sql = await empty("pglite");
    for (const [what, bytes] of Object.entries(damaged)) {
      const error = await failure(restore(sql, bytes)).catch((cause: unknown) => {
        throw new Error(`${what} was taken`, { cause });
      });
      expect([what, error.kind]).toEqual([what, "request.invalid"]);
      if (!["no sequences", "a table less", "no first migration"].includes(what)) {
        expect((await failure(checkArchive(pieces(bytes)))).kind).toBe("request.invalid");
      }
    }
    await restore(sql, text);
    expect(await countJobs(sql)).toBe(20);
  }, 60_000);
});
