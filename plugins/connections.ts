/** Open sockets and streams: a drain ends them, limits count them, and one timer looks after all of them. */

import type { KeyId } from "../src/jobs/types.ts";

const TICK_MS = 1_000;

export interface Connection {
  readonly keyId: KeyId;
  close(why: "stopping" | "revoked"): void;
  /** Called about once a second: instead of timers for each message of each client. */
  tick?(nowMs: number): void;
}

export interface Connections {
  readonly size: number;
  add(connection: Connection): () => void;
  tick(nowMs: number): void;
  /** Ends every one. */
  closeAll(): void;
  /** Ends those of one key, which is not good any more. */
  closeOf(keyId: unknown): void;
}

export function makeConnections(): Connections {
  const open = new Set<Connection>();
  let timer: ReturnType<typeof setInterval> | null = null;
  const tick = (nowMs: number): void => {
    for (const connection of [...open]) connection.tick?.(nowMs);
  };
  const remove = (connection: Connection): void => {
    open.delete(connection);
    if (open.size > 0 || timer === null) return;
    clearInterval(timer);
    timer = null;
  };
  return {
    get size() {
      return open.size;
    },
    add(connection) {
      open.add(connection);
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
    closeOf(keyId) {
      for (const connection of [...open]) if (connection.keyId === keyId) connection.close("revoked");
    },
  };
}
