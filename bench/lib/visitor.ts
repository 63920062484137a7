/** A client on one connection, one request at a time, that costs next to nothing: it is measured with what it waits for. */

export interface Visitor extends Disposable {
  /** Resolves to the milliseconds until the whole answer was there; rejects unless it has this status. */
  ask(message: Buffer, status: number): Promise<number>;
}

interface Waiting {
  readonly status: number;
  readonly answered: PromiseWithResolvers<void>;
}

export async function openVisitor(port: number): Promise<Visitor> {
  let buffer = Buffer.alloc(0);
  let waiting: Waiting | null = null;

  function take(bytes: Buffer): void {
    buffer = buffer.length === 0 ? Buffer.from(bytes) : Buffer.concat([buffer, bytes]);
    const end = buffer.indexOf("\r\n\r\n");
    if (end === -1 || waiting === null) return;
    const head = buffer.toString("latin1", 0, end);
    const length = Number(/content-length: *(\d+)/i.exec(head)?.[1]);
    if (buffer.length < end + 4 + length) return;
    const { status, answered } = waiting;
    if (head.startsWith(`HTTP/1.1 ${status} `)) answered.resolve();
    else answered.reject(new Error(buffer.toString()));
    waiting = null;
    buffer = Buffer.alloc(0);
  }

  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      data: (_socket, bytes) => take(bytes),
      close: () => waiting?.answered.reject(new Error("The server closed the connection.")),
    },
  });
  return {
    async ask(message, status) {
      const answered = Promise.withResolvers<void>();
      waiting = { status, answered };
      const startedAtMs = performance.now();
      socket.write(message);
      await answered.promise;
      return performance.now() - startedAtMs;
    },
    [Symbol.dispose]: () => void socket.end(),
  };
}
