/** A name server of our own: answers each query for a name with the next of its answers, so that a name can rebind. */
import { createSocket } from "node:dgram";
import { promises as dns } from "node:dns";

export interface NameServer {
  /** Asks this server, as `ResolveHost` of the guard does the system's. */
  resolve(hostname: string): Promise<readonly string[]>;
  /** Queries answered so far. */
  readonly queries: () => number;
  close(): Promise<void>;
}

const HEADER_BYTES = 12;
const TYPE_A = 1;

/** Labels up to the empty one that ends a name. */
function nameAt(message: Buffer): { readonly name: string; readonly end: number } {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (let length = message[at] ?? 0; length > 0; length = message[at] ?? 0) {
    labels.push(message.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join(".").toLowerCase(), end: at + 5 };
}

function answerTo(message: Buffer, addressesOf: (name: string) => readonly string[]): Buffer {
  const { name, end } = nameAt(message);
  const addresses = message.readUInt16BE(end - 4) === TYPE_A ? addressesOf(name) : [];
  const header = Buffer.from(message.subarray(0, HEADER_BYTES));
  header.writeUInt16BE(0x8180, 2);
  header.writeUInt16BE(addresses.length, 6);
  header.writeUInt32BE(0, 8);
  const records = addresses.map((address) =>
    Buffer.from([0xc0, HEADER_BYTES, 0, TYPE_A, 0, 1, 0, 0, 0, 0, 0, 4, ...address.split(".").map(Number)]),
  );
  return Buffer.concat([header, message.subarray(HEADER_BYTES, end), ...records]);
}

/** `answers`: by name, the IPv4 addresses of the first query, the second, …; the last one stays. */
export async function startNameServer(
  answers: Readonly<Record<string, readonly (readonly string[])[]>>,
): Promise<NameServer> {
  const asked = new Map<string, number>();
  const addressesOf = (name: string): readonly string[] => {
    const turn = asked.get(name) ?? 0;
    asked.set(name, turn + 1);
    const turns = answers[name] ?? [];
    return turns[Math.min(turn, turns.length - 1)] ?? [];
  };
  const socket = createSocket("udp4");
  socket.on("message", (message, from) => socket.send(answerTo(message, addressesOf), from.port, from.address));
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  const resolver = new dns.Resolver();
  resolver.setServers([`127.0.0.1:${socket.address().port}`]);
  return {
    resolve: (hostname) => resolver.resolve4(hostname),
    queries: () => [...asked.values()].reduce((sum, count) => sum + count, 0),
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}
