/** Passes bytes between clients and a server on this machine until it is cut: then nothing arrives, and nobody is told. */
import type { Socket } from "bun";
import { afterFile } from "./cleanup.ts";

export interface Relay {
  readonly port: number;
  /** A network that loses everything: connections stay, and new ones are accepted and hear nothing. */
  cut(): void;
  /** What was lost stays lost: the connections of before end, new ones work. */
  mend(): void;
  stop(): void;
}

interface Line {
  other: Socket<Line> | null;
  /** What came before the other side was connected, or could not be written yet. */
  readonly held: Buffer[];
}

export function startRelay(toPort: number): Relay {
  let whole = true;
  const lines = new Set<Socket<Line>>();
  const flush = (socket: Socket<Line>, held: Buffer[]): void => {
    for (let next = held[0]; next !== undefined; next = held[0]) {
      const written = socket.write(next);
      if (written < next.length) {
        held[0] = next.subarray(Math.max(written, 0));
        return;
      }
      held.shift();
    }
  };
  const pass = (from: Socket<Line>, bytes: Buffer): void => {
    if (!whole) return;
    from.data.held.push(Buffer.from(bytes));
    if (from.data.other !== null) flush(from.data.other, from.data.held);
  };
  const ended = (socket: Socket<Line>): void => {
    lines.delete(socket);
    if (whole) socket.data.other?.end();
  };
  const handlers = {
    data: pass,
    drain(socket: Socket<Line>) {
      if (whole && socket.data.other !== null) flush(socket, socket.data.other.data.held);
    },
    close: ended,
    error: ended,
  };
  const connect = async (client: Socket<Line>): Promise<void> => {
    const data: Line = { other: client, held: [] };
    const server = await Bun.connect<Line>({ hostname: "127.0.0.1", port: toPort, data, socket: handlers });
    lines.add(server);
    client.data.other = server;
    flush(server, client.data.held);
  };
  const listener = Bun.listen<Line>({
    ...{ hostname: "127.0.0.1", port: 0 },
    socket: {
      ...handlers,
      open(client) {
        client.data = { other: null, held: [] };
        lines.add(client);
        if (whole) connect(client).catch(() => client.end());
      },
    },
  });
  const endAll = (): void => {
    for (const socket of [...lines]) socket.terminate();
    lines.clear();
  };
  const stop = (): void => {
    endAll();
    listener.stop(true);
  };
  afterFile(async () => stop());
  return {
    port: listener.port,
    cut() {
      whole = false;
    },
    mend() {
      endAll();
      whole = true;
    },
    stop,
  };
}
