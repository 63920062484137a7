/** A fresh, empty database on the real Postgres for each test file that asks, dropped when the file is done. */
import postgres from "postgres";
import { afterFile } from "./cleanup.ts";
import { testEnv } from "./env.ts";

export interface TestDatabase extends AsyncDisposable {
  readonly url: string;
  readonly name: string;
  /** Ends every connection to it and drops it. Idempotent; runs by itself after the test file. */
  drop(): Promise<void>;
}

/** Runs statements that need no transaction (CREATE DATABASE, pg_terminate_backend…) as the superuser. */
export async function asSuperuser<T>(work: (sql: postgres.Sql) => Promise<T>, url = testEnv().postgresUrl): Promise<T> {
  const sql = postgres(url, { max: 1, onnotice: () => {}, connection: { application_name: "rendiff-test-admin" } });
  try {
    return await work(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

export async function createDatabase(): Promise<TestDatabase> {
  const admin = testEnv().postgresUrl;
  const name = `test_${Bun.randomUUIDv7().replaceAll("-", "")}`;
  await asSuperuser((sql) => sql.unsafe(`CREATE DATABASE ${name} TEMPLATE template0`), admin);
  const url = new URL(admin);
  url.pathname = `/${name}`;
  const drop = async () => {
    await asSuperuser((sql) => sql.unsafe(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`), admin);
  };
  afterFile(drop);
  return { url: url.href, name, drop, [Symbol.asyncDispose]: drop };
}
