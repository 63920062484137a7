/** Open sockets and streams: a drain ends them, limits count them, and one timer looks after all of them. */

import type { KeyId } from "../src/jobs/types.ts";

const TICK_MS = 1_000;
/** How long a message that a key was revoked may be lost for: as long as a key is remembered for requests. */
const RECHECK_MS = 5_000;

export interface Connection {
  readonly keyId: KeyId;
  /** When what the client came with ends: its token, its key, or the grace of a key that was rotated. */
  readonly expiresAt: Date | null;
  close(why: "stopping" | "revoked" | "expired"): void;
  /** Called about once a second: instead of timers for each message of each client. */
  tick?(nowMs: number): void;
}

export interface ConnectionsOptions {
  /** Which of these keys still work; none are asked for when absent. */
  goodKeys?(keyIds: readonly KeyId[]): Promise<ReadonlySet<KeyId>>;
  /** Milliseconds since 1970. */
  now?(): number;
}

export interface Connections {
  readonly size: number;
  sizeOf(keyId: KeyId): number;
  add(connection: Connection): () => void;
  /** By the clock of `performance.now()`. */
  tick(nowMs: number): void;
  /** Ends every one. */
  closeAll(): void;
  /** Ends those of one key, which is not good any more. */
  closeOf(keyId: unknown): void;
}

export function makeConnections({ goodKeys, now = Date.now }: ConnectionsOptions = {}): Connections {
  const open = new Set<Connection>();
  const sizes = new Map<KeyId, number>();
  let timer: ReturnType<typeof setInterval> | null = null;
  let recheckAtMs = performance.now() + RECHECK_MS;

  const closeOf = (keyId: unknown): void => {
    for (const connection of [...open]) if (connection.keyId === keyId) connection.close("revoked");
  };
  const recheck = async (): Promise<void> => {
    const keyIds = [...sizes.keys()];
    const good = await goodKeys?.(keyIds);
    if (good === undefined) return;
    for (const keyId of keyIds) if (!good.has(keyId)) closeOf(keyId);
  };
  const tick = (nowMs: number): void => {
    for (const connection of [...open]) {
      if (connection.expiresAt !== null && connection.expiresAt.getTime() <= now()) connection.close("expired");
      else connection.tick?.(nowMs);
    }
    if (nowMs < recheckAtMs || sizes.size === 0) return;
    recheckAtMs = nowMs + RECHECK_MS;
    // A database that is away says nothing of keys; it is asked again.
    recheck().catch(() => {});
  };
  const remove = (connection: Connection): void => {
    if (!open.delete(connection)) return;
    const left = (sizes.get(connection.keyId) ?? 1) - 1;
    if (left > 0) sizes.set(connection.keyId, left);
    else sizes.delete(connection.keyId);
    if (open.size > 0 || timer === null) return;
    clearInterval(timer);
    timer = null;
  };
  return {
    get size() {
      return open.size;
    },
    sizeOf: (keyId) => sizes.get(keyId) ?? 0,
    add(connection) {
      open.add(connection);
      sizes.set(connection.keyId, (sizes.get(connection.keyId) ?? 0) + 1);
      if (timer === null) {
        timer = setInterval(() => tick(performance.now()), TICK_MS);
        timer.unref?.();
      }
      return () => remove(connection);
    },
    tick,
    closeAll() {
      for (const connection of [...open]) connection.close("stopping");
    },
    closeOf,
  };
}
