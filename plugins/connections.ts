/** Open sockets and streams: a drain ends them, limits count them, and one timer looks after all of them. */

const TICK_MS = 1_000;

export interface Connection {
  close(): void;
  /** Called about once a second: instead of timers for each message of each client. */
  tick?(nowMs: number): void;
}

export interface Connections {
  readonly size: number;
  add(connection: Connection): () => void;
  tick(nowMs: number): void;
  /** Ends every one. */
  closeAll(): void;
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
      for (const connection of [...open]) connection.close();
    },
  };
}
