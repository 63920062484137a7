/**
 * Between a replica and Postgres: passes bytes on, until a commit whose transaction named something is to be held: then the
 * database has committed, and the replica does not know. What Postgres says of it is never passed on.
 */
import { connect, createServer, type Socket } from "node:net";
import { afterFile } from "./cleanup.ts";

export interface CommitHolder {
  /** The database's URL, through here. */
  readonly url: string;
  /** From now on: resolves when a commit of a transaction that sent this text is done and held. */
  hold(text: string): Promise<void>;
}

/** The command tag of Postgres's CommandComplete message. */
const COMMITTED = Buffer.from("COMMIT\0");

export async function holdCommits(databaseUrl: string): Promise<CommitHolder> {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  let wanted: { readonly text: Buffer; readonly held: () => void } | null = null;

  const keep = (socket: Socket): Socket => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    return socket;
  };

  const server = createServer((client) => {
    const database = connect(Number(target.port), target.hostname);
    let own: typeof wanted = null;
    let held = false;
    keep(client).on("close", () => database.destroy());
    keep(database).on("close", () => client.destroy());
    client.on("data", (bytes) => {
      if (wanted !== null && (bytes as Buffer).includes(wanted.text)) own = wanted;
      database.write(bytes);
    });
    database.on("data", (bytes) => {
      if (own !== null && own === wanted && (bytes as Buffer).includes(COMMITTED)) {
        wanted = null;
        held = true;
        own.held();
      }
      if (!held) client.write(bytes);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  afterFile(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The proxy listens nowhere.");
  const url = new URL(databaseUrl);
  url.host = `127.0.0.1:${address.port}`;
  return {
    url: url.href,
    hold(text) {
      const { promise, resolve } = Promise.withResolvers<void>();
      wanted = { text: Buffer.from(text), held: resolve };
      return promise;
    },
  };
}
