/** The secret behind signed URLs and tokens: the operator's, or one made once and kept in the database. */
import { randomBytes } from "node:crypto";
import type { Sql } from "../database/sql.ts";

const NAME = "signing_secret";
const SECRET_BYTES = 32;

export async function signingSecret(sql: Sql, given: string | null): Promise<string> {
  if (given !== null) return given;
  const stored = await readSecret(sql);
  if (stored !== null) return stored;
  await sql.query("INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING", [
    NAME,
    randomBytes(SECRET_BYTES).toString("base64url"),
  ]);
  // Another replica's, if that was faster.
  const made = await readSecret(sql);
  if (made === null) throw new Error("The signing secret was neither stored nor found.");
  return made;
}

async function readSecret(sql: Sql): Promise<string | null> {
  const [row] = await sql.query<{ value: string }>("SELECT value FROM settings WHERE name = $1", [NAME]);
  return row?.value ?? null;
}
