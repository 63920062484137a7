/** A Postgres of its own with one key, whose webhooks are signed with `SECRET`. */
import { migrate } from "../../src/database/migrate.ts";
import { openPostgres } from "../../src/database/postgres/open-postgres.ts";
import { afterFile } from "../support/cleanup.ts";
import { createDatabase } from "../support/postgres.ts";
import { insertKey, type TestDatabase } from "./protocol-harness.ts";

export const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

export const signWithSecret = ({ sql, keyId }: TestDatabase): Promise<unknown> =>
  sql.query("UPDATE api_keys SET webhook_secret = $2 WHERE id = $1", [keyId, SECRET]);

/** Closed and removed after the test file. */
export async function openWebhookDatabase(poolSize: number): Promise<TestDatabase & { readonly url: string }> {
  const { url } = await createDatabase();
  const sql = await openPostgres({ url, poolSize, statementTimeoutMs: 20_000, applicationName: "test" });
  afterFile(() => sql.close());
  await migrate(sql);
  const keyId = await insertKey(sql);
  await signWithSecret({ sql, keyId });
  return { url, sql, keyId };
}
