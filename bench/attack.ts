/**
 * What a valid client notices while somebody at another address guesses 5,000 keys a second.
 *
 * The server has one processor to itself; the database, the client and the guesser, which comes last, share the other: what is
 * measured is what the guesses cost the server. Guesses are switched on and off for moments at a time, with the same connections
 * and processes throughout, so that nothing else differs between the two, and whatever drifts falls on both.
 */
import { join, resolve } from "node:path";
import type { Bench, BenchContext } from "./lib/bench.ts";
import { createJob } from "./lib/client.ts";
import { startDurablePostgres } from "./lib/postgres.ts";
import { cpuOf } from "./lib/processes.ts";
import { median } from "./lib/stats.ts";
import { ADMIN_KEY, startSubject } from "./lib/subject.ts";
import type { Claim, RatioClaim } from "./lib/verdict.ts";
import { openVisitor, type Visitor } from "./lib/visitor.ts";
import type { Guessed, GuessOptions } from "./workers/guess.ts";

const GUESSES_PER_SECOND = 5_000;
const SERVER_CPU = "0";
const OTHER_CPU = "1";
const WINDOW_MS = 400;
/** A window in which the machine stood still goes on until it has as many. */
const SAMPLES_MIN = 20;
/** After a switch, before anything counts. */
const SETTLE_MS = 60;
/** Each of the client's requests comes from the next of so many addresses: it has no limit to meet. */
const ADDRESSES = 60_000;

const BODY = {
  input_path: "in.mp4",
  output_path: "out.mp4",
  operations: [{ type: "transcode", video_codec: "h264", crf: 23 }],
  priority: "low",
};

async function run(argv: readonly string[]): Promise<void> {
  const child = Bun.spawn([...argv], { stdin: "ignore", stdout: "ignore", stderr: "inherit" });
  if ((await child.exited) !== 0) throw new Error(`${argv.join(" ")} ended with ${child.exitCode}.`);
}

/** All threads of a process, and what it starts from now on. */
const pin = (pid: number, cpus: string): Promise<void> => run(["taskset", "-a", "-c", "-p", cpus, `${pid}`]);

/** This process on one processor, until it is disposed of. */
async function pinSelf(cpu: string): Promise<AsyncDisposable> {
  const [, before = ""] = /^Cpus_allowed_list:\s*(\S+)$/m.exec(await Bun.file("/proc/self/status").text()) ?? [];
  await pin(process.pid, cpu);
  return { [Symbol.asyncDispose]: () => pin(process.pid, before) };
}

interface Guesser extends AsyncDisposable {
  on(): void;
  /** What became of the guesses since `on`, when all are answered. */
  off(): Promise<Guessed>;
}

async function startGuesser(options: GuessOptions): Promise<Guesser> {
  const script = resolve("bench/workers/guess.ts");
  const argv = ["nice", "-n", "10", "taskset", "-c", OTHER_CPU, process.execPath, script, JSON.stringify(options)];
  const child = Bun.spawn(argv, { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const nextLine = async (): Promise<string> => {
    let text = "";
    while (!text.endsWith("\n")) {
      const { done, value } = await lines.read();
      if (done) throw new Error("The guesser has ended.");
      text += value;
    }
    return text;
  };
  const say = (word: string): void => {
    child.stdin.write(`${word}\n`);
    child.stdin.flush();
  };
  await nextLine();
  return {
    on: () => say("on"),
    async off() {
      say("off");
      return JSON.parse(await nextLine()) as Guessed;
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

const total = ({ byStatus }: Guessed): number => Object.values(byStatus).reduce((all, count) => all + count, 0);

/** Throws where a guess got anything but a refusal; once a minute the limit lets some be looked at. */
function ratesOf(guessed: readonly Guessed[]): number[] {
  for (const { byStatus } of guessed) {
    const others = Object.keys(byStatus).filter((status) => status !== "429" && status !== "401");
    if (others.length > 0) throw new Error(`Guesses were answered with ${JSON.stringify(byStatus)}.`);
  }
  return guessed.map((one) => total(one) / one.seconds);
}

type Ask = () => Promise<number>;

/** The median latency of one window, in milliseconds. */
async function windowOf(ask: Ask): Promise<number> {
  const begunAtMs = performance.now();
  while (performance.now() - begunAtMs < SETTLE_MS) await ask();
  const latencies: number[] = [];
  const isOver = (): boolean => performance.now() - begunAtMs >= SETTLE_MS + WINDOW_MS;
  while (!isOver() || latencies.length < SAMPLES_MIN) latencies.push(await ask());
  return median(latencies);
}

interface Windows {
  readonly calm: number[];
  readonly attacked: number[];
  readonly calmAgain: number[];
  readonly guessed: Guessed[];
}

/** In turns: calm, attacked, calm, attacked, so that each attack has calm on both sides. */
async function alternate(guesser: Guesser, ask: Ask, rounds: number): Promise<Windows> {
  const windows: Windows = { calm: [], attacked: [], calmAgain: [], guessed: [] };
  for (let round = 0; round < rounds; round++) {
    for (const calm of [windows.calm, windows.calmAgain]) {
      calm.push(await windowOf(ask));
      guesser.on();
      windows.attacked.push(await windowOf(ask));
      windows.guessed.push(await guesser.off());
    }
  }
  return windows;
}

function makeMessages(port: number, method: string, path: string, body: string): () => Buffer {
  let requests = 0;
  const head = `${method} ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nx-api-key: ${ADMIN_KEY}\r\n`;
  const length = body === "" ? "" : `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n`;
  return () => {
    requests = (requests + 1) % ADDRESSES;
    return Buffer.from(`${head}${length}x-forwarded-for: 10.0.${requests >> 8}.${requests & 255}\r\n\r\n${body}`);
  };
}

interface Call {
  readonly what: string;
  readonly method: string;
  readonly path: string;
  readonly body: string;
  readonly status: number;
}

/** In microseconds, while nobody else calls; what the server does by itself is taken off. */
async function cpuOfRefusal(pid: number, guesser: Guesser, durationMs: number): Promise<number> {
  const cpuDuring = async (): Promise<number> => {
    const before = cpuOf(pid).own;
    await Bun.sleep(durationMs);
    return cpuOf(pid).own - before;
  };
  const idle = await cpuDuring();
  guesser.on();
  const busy = await cpuDuring();
  return (1e6 * (busy - idle)) / total(await guesser.off());
}

const claimOf = (what: string, { calm, calmAgain, attacked }: Windows): RatioClaim => ({
  ...{ kind: "ratio", goal: "S5", what: `a valid client's ${what} under ${GUESSES_PER_SECOND} guesses a second` },
  ...{ baselineName: "calm", unit: "ms", limit: 1.1, bound: "most" },
  ...{ baseline: calm, baselineAgain: calmAgain, candidate: attacked },
});

async function attack({ folder, long, say }: BenchContext): Promise<Claim[]> {
  await using postgres = await startDurablePostgres(folder);
  await pin(postgres.pid, OTHER_CPU);
  await using subject = await startSubject({
    folder: join(folder, "server"),
    under: ["taskset", "-c", SERVER_CPU],
    env: {
      ...{ DATABASE_URL: postgres.url, WORKER_PRIORITIES: "high", TRUSTED_PROXIES: "127.0.0.0/8" },
      // The default of an address.
      ADDRESS_RATE_LIMIT: "1200/min",
    },
  });
  const { id } = await createJob(subject, BODY);
  await using _pinned = await pinSelf(OTHER_CPU);
  const { port } = subject;
  await using guesser = await startGuesser({
    ...{ port, path: "/api/v1/jobs", perSecond: GUESSES_PER_SECOND, connections: 64 },
  });
  // What the limit lets through comes first.
  guesser.on();
  await Bun.sleep(1_000);
  await guesser.off();
  using visitor: Visitor = await openVisitor(port);
  const calls: readonly Call[] = [
    { what: "GET /jobs/{id}", method: "GET", path: `/api/v1/jobs/${id}`, body: "", status: 200 },
    { what: "POST /convert", method: "POST", path: "/api/v1/convert", body: JSON.stringify(BODY), status: 201 },
  ];
  const claims: Claim[] = [];
  const rates: number[] = [];
  for (const { what, method, path, body, status } of calls) {
    const next = makeMessages(port, method, path, body);
    const windows = await alternate(guesser, () => visitor.ask(next(), status), long ? 40 : 12);
    rates.push(...ratesOf(windows.guessed));
    claims.push(claimOf(what, windows));
  }
  say(`guesses refused a second: ${rates.map(Math.round).join(", ")}`);
  const figure = { kind: "figure", goal: "S5", limit: null } as const;
  return [
    ...claims,
    { ...figure, what: "guesses refused a second, median window", unit: "/s", value: median(rates), isTime: false },
    {
      ...{ ...figure, what: "the server's CPU for one of them", unit: "µs", isTime: true },
      value: await cpuOfRefusal(subject.pid, guesser, long ? 10_000 : 4_000),
    },
  ];
}

export const attackBench: Bench = {
  name: "attack",
  what: "A valid client's latency while another address guesses keys",
  run: attack,
};
