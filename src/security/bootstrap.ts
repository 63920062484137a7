/**
 * The first keys of a deployment: those the operator gives (ADMIN_API_KEYS), or one that the first start makes.
 *
 * A key that is made is written to a file before its row exists: a crash between the two leaves a file that the next
 * start replaces, never a row whose key nobody knows.
 */
import { mkdir, open, rename, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Sql } from "../database/sql.ts";
import type { KeyId } from "../jobs/types.ts";
import { sha256 } from "./digest.ts";
import { makeKeyText, makeWebhookSecret } from "./keys.ts";
import type { Principal } from "./principal.ts";

/** The owner of all jobs when keys are off (ENABLE_API_KEYS=false). */
const LOCAL_KEY_ID = "00000000-0000-7000-8000-000000000001" as KeyId;
/** Any number, the same in every replica: two first starts must not make two keys. */
const BOOTSTRAP_LOCK_ID = 5_317_002;

export const LOCAL_PRINCIPAL: Principal = {
  keyId: LOCAL_KEY_ID,
  name: "local",
  role: "admin",
  allowedOperations: null,
  readBackends: null,
  writeBackends: null,
  rateLimitPerMinute: null,
  monthlyLimitMinutes: null,
  expiresAt: null,
};

export interface BootstrapConfig {
  readonly keys: { readonly enabled: boolean; readonly adminKeys: readonly string[] };
  readonly process: { readonly dataDir: string; readonly role: "api" | "worker" | "combined" };
}

export interface BootstrapResult {
  /** Where the key lies that this start made; null when it made none. */
  readonly adminKeyPath: string | null;
}

const ADMINS = `FROM api_keys
  WHERE role = 'admin' AND name <> 'local' AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())`;
const HAS_ADMIN = `SELECT EXISTS (SELECT ${ADMINS}) AS found`;

/**
 * Idempotent; every start calls it after the migrations. A worker has no part in it: it is not given the operator's keys, whose
 * absence would revoke them, and a key that it made would lie where nobody looks for it.
 */
export async function ensureBootstrap(sql: Sql, config: BootstrapConfig): Promise<BootstrapResult> {
  if (config.process.role === "worker") return { adminKeyPath: null };
  if (!config.keys.enabled) {
    await ensureLocalKey(sql);
    return { adminKeyPath: null };
  }
  const digests = config.keys.adminKeys.map((key) => sha256(key));
  // At nearly every start all is as it should be: one statement says so, and nothing is written.
  const found = await sql.query<{ name: string; digest: Uint8Array }>(`SELECT name, digest ${ADMINS}`);
  if (found.length > 0 && areSame(digests, found.filter(isGiven))) return { adminKeyPath: null };
  await storeGivenKeys(sql, digests);
  const [existing] = await sql.query<{ found: boolean }>(HAS_ADMIN);
  if (existing?.found === true) return { adminKeyPath: null };
  return { adminKeyPath: await makeFirstKey(sql, config.process.dataDir) };
}

async function ensureLocalKey(sql: Sql): Promise<void> {
  // The digest of random text: no key ever has it.
  await sql.query(
    `INSERT INTO api_keys (id, name, digest, role, webhook_secret) VALUES ($1, 'local', $2, 'admin', $3)
     ON CONFLICT (id) DO NOTHING`,
    [LOCAL_KEY_ID, sha256(makeKeyText(Bun.randomUUIDv7())), makeWebhookSecret()],
  );
}

const isGiven = ({ name }: { readonly name: string }): boolean => name === "bootstrap";

const asHex = (digest: Uint8Array): string => Buffer.from(digest).toString("hex");

function areSame(digests: readonly Uint8Array[], rows: readonly { readonly digest: Uint8Array }[]): boolean {
  const given = new Set(digests.map(asHex));
  const stored = new Set(rows.map(({ digest }) => asHex(digest)));
  return given.size === stored.size && given.isSubsetOf(stored);
}

/** The given keys work, and those given at an earlier start and no longer given do not. */
async function storeGivenKeys(sql: Sql, digests: readonly Uint8Array[]): Promise<void> {
  await sql.transaction(async (tx) => {
    const stored = await tx.query<{ id: string; digest: Uint8Array }>(
      "SELECT id, digest FROM api_keys WHERE name = 'bootstrap' AND revoked_at IS NULL FOR UPDATE",
    );
    const given = new Set(digests.map(asHex));
    const stale = stored.filter((row) => !given.has(asHex(row.digest))).map((row) => row.id);
    if (stale.length > 0) {
      await tx.query("UPDATE api_keys SET revoked_at = now() WHERE id = ANY ($1::uuid[])", [stale]);
    }
    for (const digest of digests) {
      await tx.query(
        `INSERT INTO api_keys (id, name, digest, role, webhook_secret) VALUES ($1, 'bootstrap', $2, 'admin', $3)
         ON CONFLICT (digest) DO UPDATE SET revoked_at = NULL WHERE api_keys.name = 'bootstrap'`,
        [Bun.randomUUIDv7(), digest, makeWebhookSecret()],
      );
    }
  });
}

async function makeFirstKey(sql: Sql, dataDir: string): Promise<string | null> {
  const id = Bun.randomUUIDv7();
  const key = makeKeyText(id);
  const path = join(dataDir, "admin-key");
  await writePrivately(path, `${key}\n`);
  const made = await sql.transaction(async (tx) => {
    await tx.query("SELECT pg_advisory_xact_lock($1::bigint)", [BOOTSTRAP_LOCK_ID]);
    const [existing] = await tx.query<{ found: boolean }>(HAS_ADMIN);
    if (existing?.found === true) return false;
    await tx.query(
      "INSERT INTO api_keys (id, name, digest, role, webhook_secret) VALUES ($1, 'first admin', $2, 'admin', $3)",
      [id, sha256(key), makeWebhookSecret()],
    );
    return true;
  });
  if (made) return path;
  await unlink(path);
  return null;
}

/** Whole or not at all, and never readable by others, not even while it is written. */
async function writePrivately(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}.new`;
  // A replica that runs no jobs and keeps no database has had no use for its DATA_DIR so far.
  await mkdir(dirname(path), { recursive: true });
  const file = await open(temporary, "w", 0o600);
  try {
    await file.chmod(0o600);
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}
