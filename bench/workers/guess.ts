/**
 * Somebody who guesses keys. It speaks as little HTTP as it can, so that what is measured beside it is the server's work and
 * not its own: requests are made beforehand, and of an answer only its first bytes are looked at. A connection has one
 * request under way; where none is free, one is left out.
 *
 * Each line of its standard input is `on` or `off`; after `off` it prints what became of the guesses since `on`, as soon as
 * all of them are answered.
 */
export interface GuessOptions {
  readonly port: number;
  readonly path: string;
  readonly perSecond: number;
  readonly connections: number;
}

export interface Guessed {
  readonly seconds: number;
  readonly byStatus: Readonly<Record<string, number>>;
}

const options = JSON.parse(process.argv[2] ?? "") as GuessOptions;
const TICK_MS = 1;
const MESSAGES = 5_000;
const STATUS_LINE = "HTTP/1.1 ";

const messages = Array.from({ length: MESSAGES }, (_, guess) =>
  Buffer.from(
    `GET ${options.path} HTTP/1.1\r\nhost: x\r\nx-api-key: rnd_guess_${String(guess).padStart(40, "0")}\r\n\r\n`,
  ),
);

const free: { write(bytes: Buffer): unknown }[] = [];
let byStatus: Record<string, number> = {};
let [guesses, onSinceMs] = [0, 0];
let ended: PromiseWithResolvers<void> | null = null;

const open = async (): Promise<void> => {
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port: options.port,
    socket: {
      data(_socket, bytes) {
        // An answer is small and comes at once; were it to come in two parts, the second begins otherwise.
        const begin = bytes.toString("latin1", 0, STATUS_LINE.length + 3);
        if (!begin.startsWith(STATUS_LINE)) return;
        const status = begin.slice(STATUS_LINE.length);
        byStatus[status] = (byStatus[status] ?? 0) + 1;
        free.push(socket);
        if (free.length === options.connections) ended?.resolve();
      },
      close: () => {
        process.stderr.write("The server closed a connection of the guesser.\n");
        process.exit(1);
      },
    },
  });
  free.push(socket);
};
await Promise.all(Array.from({ length: options.connections }, open));

function guess(): void {
  const due = ((performance.now() - onSinceMs) / 1_000) * options.perSecond;
  for (; guesses < due; guesses += 1) {
    const message = messages[guesses % MESSAGES];
    if (message !== undefined) free.pop()?.write(message);
  }
}

let timer: ReturnType<typeof setInterval> | null = null;
process.stdout.write("ready\n");
for await (const line of console) {
  if (line === "on") {
    [byStatus, guesses, onSinceMs] = [{}, 0, performance.now()];
    timer = setInterval(guess, TICK_MS);
  } else if (line === "off" && timer !== null) {
    clearInterval(timer);
    const seconds = (performance.now() - onSinceMs) / 1_000;
    ended = Promise.withResolvers();
    if (free.length < options.connections) await ended.promise;
    ended = null;
    process.stdout.write(`${JSON.stringify({ seconds, byStatus } satisfies Guessed)}\n`);
  }
}
process.exit(0);
