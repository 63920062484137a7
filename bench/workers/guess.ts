/**
 * Somebody who guesses keys, at a steady rate, each request with another one, until its standard input ends. Prints how
 * many were answered, by status. A connection has one request under way; where none is free, one is left out.
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
const TICK_MS = 4;
const byStatus: Record<string, number> = {};
const free: { write(text: string): unknown }[] = [];
let guesses = 0;

const open = async (): Promise<void> => {
  let [left, head] = [-1, ""];
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port: options.port,
    socket: {
      data(_socket, bytes) {
        const text = head + bytes.toString("latin1");
        const end = text.indexOf("\r\n\r\n");
        if (left < 0 && end === -1) {
          head = text;
          return;
        }
        if (left < 0) {
          const status = text.slice("HTTP/1.1 ".length, "HTTP/1.1 xxx".length);
          byStatus[status] = (byStatus[status] ?? 0) + 1;
          left = Number(/content-length: *(\d+)/i.exec(text.slice(0, end))?.[1] ?? 0) - (text.length - end - 4);
        } else left -= bytes.length;
        if (left > 0) return;
        [left, head] = [-1, ""];
        free.push(socket);
      },
    },
  });
  free.push(socket);
};
await Promise.all(Array.from({ length: options.connections }, open));

const startedAt = performance.now();
const guess = (): void => {
  const due = ((performance.now() - startedAt) / 1_000) * options.perSecond;
  for (; guesses < due; guesses += 1) {
    const socket = free.pop();
    if (socket === undefined) continue;
    socket.write(`GET ${options.path} HTTP/1.1\r\nhost: x\r\nx-api-key: rnd_guess_${guesses}_${startedAt}\r\n\r\n`);
  }
};
const timer = setInterval(guess, TICK_MS);
process.stdout.write("guessing\n");
await Bun.stdin.text();
clearInterval(timer);
const guessed: Guessed = { seconds: (performance.now() - startedAt) / 1_000, byStatus };
process.stdout.write(JSON.stringify(guessed));
process.exit(0);
