import { openCoordination } from "../boot/coordination.ts";
import { openMigratedDatabase } from "../boot/database.ts";
import { channels } from "../coordination/ports.ts";
import type { Sql } from "../database/sql.ts";
import { RendiffError } from "../errors.ts";
import { appendAudit } from "../security/audit.ts";
import { type KeyPropertiesInput, keyPropertiesSchema } from "../security/keys.schema.ts";
import { createKey, listKeys, revokeKey } from "../security/keys.ts";
import { parseRequest } from "../validation/parse.ts";
import { configFor, quietLoggerFor } from "./config.ts";
import type { CommandContext } from "./context.ts";

export interface CreateKeyOptions {
  readonly name: string;
  readonly role: string;
  readonly allowedOperations?: string[];
  readonly readBackends?: string[];
  readonly writeBackends?: string[];
  readonly rateLimit?: number;
  readonly maxConcurrentJobs?: number;
  readonly weight?: number;
  readonly monthlyLimitMinutes?: number;
  readonly expiresAt?: string;
  readonly json?: boolean;
}

const PAGE = 200;
const BY_CLI = { actor: "cli", address: null, requestId: null } as const;

export async function withDatabase<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
  const config = configFor();
  const sql = await openMigratedDatabase(config, quietLoggerFor(config));
  try {
    return await work(sql);
  } finally {
    await sql.close();
  }
}

export async function createKeyCommand(context: CommandContext, options: CreateKeyOptions): Promise<void> {
  const properties = parseRequest(keyPropertiesSchema, {
    name: options.name,
    role: options.role as NonNullable<KeyPropertiesInput["role"]>,
    allowed_operations: options.allowedOperations,
    read_backends: options.readBackends,
    write_backends: options.writeBackends,
    rate_limit: options.rateLimit,
    max_concurrent_jobs: options.maxConcurrentJobs,
    weight: options.weight,
    monthly_limit_minutes: options.monthlyLimitMinutes,
    expires_at: options.expiresAt,
  });
  const { apiKey, key, webhookSecret } = await withDatabase((sql) =>
    sql.transaction(async (tx) => {
      const made = await createKey(tx, properties);
      await appendAudit(tx, { ...BY_CLI, action: "key.created", target: made.apiKey.id, data: properties });
      return made;
    }),
  );
  if (options.json === true) {
    context.out(JSON.stringify({ id: apiKey.id, key, webhook_secret: webhookSecret }));
    return;
  }
  context.out(`id   ${apiKey.id}\nkey  ${key}\n\nThe key is not shown again. Send it as X-API-Key.`);
}

export async function listKeysCommand(context: CommandContext, options: { json?: boolean }): Promise<void> {
  const keys = await withDatabase((sql) => listKeys(sql, { limit: PAGE }));
  if (options.json === true) {
    context.out(JSON.stringify(keys));
    return;
  }
  for (const { id, name, role, expiresAt, revokedAt } of keys) {
    const state = revokedAt !== null ? "revoked" : expiresAt !== null ? `until ${expiresAt.toISOString()}` : "active";
    context.out(`${id}  ${role.padEnd(8)}  ${state}  ${name}`);
  }
}

/**
 * Replicas drop what they remember of a key. Without Redis, or while it is away, they forget it by themselves in seconds.
 * False where nobody was told.
 */
async function tellReplicas(keyId: string): Promise<boolean> {
  const config = configFor();
  if (config.redis.url === null) return false;
  const coordination = await openCoordination(config, quietLoggerFor(config));
  try {
    await coordination.bus.publish(channels.keys, { key_id: keyId });
    return true;
  } catch {
    return false;
  } finally {
    await coordination.close();
  }
}

export async function revokeKeyCommand(context: CommandContext, id: string): Promise<void> {
  const revoked = await withDatabase((sql) =>
    sql.transaction(async (tx) => {
      const key = await revokeKey(tx, id);
      if (key !== null) await appendAudit(tx, { ...BY_CLI, action: "key.revoked", target: key.id, data: {} });
      return key;
    }),
  );
  if (revoked === null) throw new RendiffError({ kind: "request.not_found", publicMessage: `There is no key ${id}.` });
  const told = await tellReplicas(revoked.id);
  context.out(told ? `Revoked ${id}.` : `Revoked ${id}. A running server may take it for some seconds more.`);
}
