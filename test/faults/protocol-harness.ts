/**
 * A migrated database for one test file, the rows that jobs need around them, and runners that count, change or fail
 * statements on their way.
 */
import { beforeEach } from "bun:test";
import { migrate } from "../../src/database/migrate.ts";
import { openPglite } from "../../src/database/pglite/open-pglite.ts";
import { openPostgres } from "../../src/database/postgres/open-postgres.ts";
import type { Sql, SqlParam, SqlRunner } from "../../src/database/sql.ts";
import { claimJob } from "../../src/jobs/claim.ts";
import { registerWorker } from "../../src/jobs/liveness.ts";
import { insertJob, type NewJob } from "../../src/jobs/store.ts";
import type { JobId, KeyId, Lease, PublishManifest, PublishStep, WorkerId } from "../../src/jobs/types.ts";
import type { MediaInfo } from "../../src/media/types.ts";
import { afterFile } from "../support/cleanup.ts";
import { createDatabase } from "../support/postgres.ts";
import { makeTempDir } from "../support/temp-dir.ts";

export type EngineName = "pglite" | "postgres";

export interface TestDatabase {
  readonly sql: Sql;
  readonly keyId: KeyId;
}

const STATEMENT_TIMEOUT_MS = 20_000;

async function openEngine(engine: EngineName): Promise<Sql> {
  if (engine === "pglite") {
    return openPglite({ dataDir: await makeTempDir("jobs"), statementTimeoutMs: STATEMENT_TIMEOUT_MS });
  }
  const { url } = await createDatabase();
  return openPostgres({
    url,
    poolSize: 6,
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
    applicationName: "rendiff-test",
  });
}

/** Closed and removed after the test file. */
export async function openTestDatabase(engine: EngineName): Promise<TestDatabase> {
  const sql = await openEngine(engine);
  afterFile(() => sql.close());
  await migrate(sql);
  return { sql, keyId: await insertKey(sql) };
}

export const ENGINES: readonly EngineName[] = ["pglite", "postgres"];

export async function insertKey(sql: SqlRunner): Promise<KeyId> {
  const keyId = Bun.randomUUIDv7() as KeyId;
  await sql.query("INSERT INTO api_keys (id, name, digest, role) VALUES ($1, 'test', $2::bytea, 'user')", [
    keyId,
    crypto.getRandomValues(new Uint8Array(32)),
  ]);
  return keyId;
}

export const newJobId = (): JobId => Bun.randomUUIDv7() as JobId;

export async function submit(database: TestDatabase, overrides: Partial<NewJob> = {}): Promise<JobId> {
  const id = newJobId();
  await insertJob(database.sql, {
    id,
    keyId: database.keyId,
    type: "convert",
    priority: "normal",
    spec: { input_path: "local://in.mov" },
    metadata: {},
    ...overrides,
  });
  return id;
}

/** One after another; their ids in that order. */
export async function submitMany(
  database: TestDatabase,
  count: number,
  overrides: Partial<NewJob> = {},
): Promise<JobId[]> {
  const ids: JobId[] = [];
  for (let n = 0; n < count; n += 1) ids.push(await submit(database, overrides));
  return ids;
}

export async function makeWorker(sql: SqlRunner): Promise<WorkerId> {
  const workerId = Bun.randomUUIDv7() as WorkerId;
  await registerWorker(sql, { workerId, role: "worker", version: "test", slots: 2 });
  return workerId;
}

export async function mustClaim(sql: SqlRunner, workerId: WorkerId, jobId: JobId): Promise<Lease> {
  const claim = await claimJob(sql, { workerId, jobTypes: null, priorities: null, jobId });
  if (claim === null) throw new Error("The job could not be claimed.");
  return claim.lease;
}

/** Lets every due time pass and every worker but `alive` fall behind, without waiting for a clock. */
export async function passTicks(sql: SqlRunner, ticks: number): Promise<void> {
  await sql.query("UPDATE liveness SET tick = tick + $1::bigint", [ticks]);
}

const MEDIA: MediaInfo = {
  demuxers: ["mov", "mp4"],
  container: "mp4",
  sizeBytes: 1_000,
  durationSeconds: 1,
  startSeconds: 0,
  bitrate: null,
  tags: {},
  streams: [],
  chapters: 0,
  warnings: [],
};

export function stepOf(lease: Lease, ordinal: number, key: string, backend = "local"): PublishStep {
  return {
    ordinal,
    role: ordinal === 0 ? "primary" : "thumbnail",
    uri: `${backend}://${key}`,
    mediaType: "video/mp4",
    media: MEDIA,
    ifAbsent: false,
    staged: {
      backend,
      key,
      jobId: lease.jobId,
      leaseToken: lease.leaseToken,
      handle: `.staging/${lease.jobId}/${lease.leaseToken}/${key}`,
      sizeBytes: 1_000 + ordinal,
      sha256: "0".repeat(64),
      fingerprint: `${key}:${lease.leaseToken}`,
    },
  };
}

export function manifestOf(lease: Lease, keys: readonly string[]): PublishManifest {
  return {
    leaseToken: lease.leaseToken,
    steps: keys.map((key, ordinal) => stepOf(lease, ordinal, key)),
    results: { made: keys.length },
    metrics: { input_bytes: 5, output_bytes: 10 },
    warnings: ["made by a test"],
  };
}

/** A database with one worker, whose queue is empty and of which no class is paused before each test. */
export async function openQueue(engine: EngineName): Promise<{ database: TestDatabase; workerId: WorkerId }> {
  const database = await openTestDatabase(engine);
  const workerId = await makeWorker(database.sql);
  beforeEach(async () => {
    await database.sql.query("DELETE FROM jobs");
    await database.sql.query("DELETE FROM queue_pauses");
  });
  return { database, workerId };
}

/** Passes statements on and remembers their texts. */
export function counting(sql: SqlRunner): SqlRunner & { readonly texts: string[] } {
  const texts: string[] = [];
  return {
    texts,
    query: (text, params) => {
      texts.push(text);
      return sql.query(text, params);
    },
  };
}

/** A runner whose statements have one guard replaced, as if the rule had never been written. */
export function without(
  sql: SqlRunner,
  guard: string,
  replacement = "TRUE",
): SqlRunner & { readonly uses: () => number } {
  let uses = 0;
  return {
    uses: () => uses,
    query: <Row extends object>(text: string, params?: readonly SqlParam[]) => {
      const parts = text.split(guard);
      uses += parts.length - 1;
      return sql.query<Row>(parts.join(replacement), params);
    },
  };
}
