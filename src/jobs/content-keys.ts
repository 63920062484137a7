/** Content keys that this server serves: kept under the hash of a token that only the package's playlists hold. */
import type { SqlRunner } from "../database/sql.ts";
import { sha256 } from "../security/digest.ts";
import type { JobId } from "./types.ts";

const TOKEN_BYTES = 32;
const TOKEN = /^[A-Za-z0-9_-]{43}$/;

/** Answers with the token. Each call keeps one more key: an attempt that starts again encrypts with a key of its own. */
export async function keepContentKey(sql: SqlRunner, jobId: JobId, key: Uint8Array): Promise<string> {
  const token = Buffer.from(crypto.getRandomValues(new Uint8Array(TOKEN_BYTES))).toString("base64url");
  await sql.query("INSERT INTO content_keys (token_hash, job_id, content_key) VALUES ($1, $2, $3)", [
    sha256(token),
    jobId,
    key,
  ]);
  return token;
}

/** Null when there is no such token. */
export async function findContentKey(sql: SqlRunner, token: string): Promise<Uint8Array | null> {
  if (!TOKEN.test(token)) return null;
  const [row] = await sql.query<{ content_key: Uint8Array }>(
    "SELECT content_key FROM content_keys WHERE token_hash = $1",
    [sha256(token)],
  );
  return row?.content_key ?? null;
}
