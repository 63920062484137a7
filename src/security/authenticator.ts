/**
 * From the text of a key to who is calling, with a small cache in this process.
 *
 * The cache holds digests, never keys, also of keys that are none: a client that keeps on asking with one costs the database
 * nothing. A key that was revoked or changed is dropped by a message on the `keys` channel; a message that is lost costs at
 * most `CACHE_TTL_MS`. A shared cache was rejected: it would cost a round trip for each request.
 */
import { type Bus, channels } from "../coordination/ports.ts";
import type { SqlRunner } from "../database/sql.ts";
import type { KeyId } from "../jobs/types.ts";
import { LOCAL_PRINCIPAL } from "./bootstrap.ts";
import { sha256 } from "./digest.ts";
import { findByDigest, findById } from "./keys.ts";
import type { Principal } from "./principal.ts";

const CACHE_TTL_MS = 5_000;
const CACHE_ENTRIES_MAX = 10_000;
/** ADMIN_API_KEYS may be any text, but nobody's key is longer. */
const KEY_LENGTH_MAX = 512;

export interface Authenticator {
  /** Null for a key that is unknown, expired or revoked. */
  authenticate(key: string): Promise<Principal | null>;
  /** Of a key that was named by a token of ours; null when it is gone, expired or revoked. */
  byId(keyId: KeyId): Promise<Principal | null>;
  /** Who calls without a key: the local administrator when keys are off, else null. */
  readonly anonymous: Principal | null;
  close(): Promise<void>;
}

export interface AuthenticatorOptions {
  readonly sql: SqlRunner;
  readonly bus: Bus;
  readonly keysEnabled: boolean;
  now?(): number;
  /** A key was revoked or changed: whoever is connected by it has to come again. */
  onChanged?(keyId: unknown): void;
}

interface Entry {
  readonly principal: Principal;
  readonly untilMs: number;
}

function remember<Value>(cache: Map<string, Value>, name: string, value: Value): void {
  if (cache.size >= CACHE_ENTRIES_MAX) cache.clear();
  cache.set(name, value);
}

export function makeAuthenticator({
  sql,
  bus,
  keysEnabled,
  now = Date.now,
  onChanged,
}: AuthenticatorOptions): Authenticator {
  const entries = new Map<string, Entry>();
  // Apart from those that work, so that an attack does not push them out.
  const refusedUntilMs = new Map<string, number>();
  // Grows with every invalidation, so that a look-up that began before one is not cached after it.
  let generation = 0;
  const drop = (keyId: unknown): void => {
    generation++;
    for (const [name, { principal }] of entries) if (principal.keyId === keyId) entries.delete(name);
    // One that did not work may do so from now on, and nobody knows which it was.
    refusedUntilMs.clear();
    onChanged?.(keyId);
  };
  const subscribed = bus.subscribe(channels.keys, (message) => drop(message.key_id));
  // Without the channel only the time to live invalidates; the error shows where it is awaited, at close.
  subscribed.catch(() => undefined);

  const lookUp = async (name: string, find: () => Promise<Principal | null>): Promise<Principal | null> => {
    const cached = entries.get(name);
    if (cached !== undefined && cached.untilMs > now()) {
      const { expiresAt } = cached.principal;
      return expiresAt !== null && expiresAt.getTime() <= now() ? null : cached.principal;
    }
    if ((refusedUntilMs.get(name) ?? 0) > now()) return null;
    const startedIn = generation;
    const principal = await find();
    if (startedIn !== generation) return principal;
    const untilMs = now() + CACHE_TTL_MS;
    if (principal === null) remember(refusedUntilMs, name, untilMs);
    else remember(entries, name, { principal, untilMs });
    return principal;
  };

  return {
    anonymous: keysEnabled ? null : LOCAL_PRINCIPAL,
    async authenticate(key) {
      if (!keysEnabled) return LOCAL_PRINCIPAL;
      if (key.length === 0 || key.length > KEY_LENGTH_MAX) return null;
      const digest = sha256(key);
      return lookUp(Buffer.from(digest).toString("base64"), () => findByDigest(sql, digest));
    },
    byId: async (keyId) => (keysEnabled ? lookUp(keyId, () => findById(sql, keyId)) : LOCAL_PRINCIPAL),
    async close() {
      const unsubscribe = await subscribed.catch(() => undefined);
      await unsubscribe?.();
    },
  };
}
