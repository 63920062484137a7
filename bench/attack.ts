/** What a valid client notices while somebody at another address guesses 5,000 keys a second. */
import { join, resolve } from "node:path";
import type { Bench, BenchContext } from "./lib/bench.ts";
import { createJob } from "./lib/client.ts";
import { type Load, runLoad } from "./lib/load.ts";
import { startDurablePostgres } from "./lib/postgres.ts";
import { cpuOf } from "./lib/processes.ts";
import { interleave } from "./lib/rounds.ts";
import { ADMIN_KEY, startSubject } from "./lib/subject.ts";
import type { Claim } from "./lib/verdict.ts";
import type { Guessed, GuessOptions } from "./workers/guess.ts";
import type { PostOptions } from "./workers/post.ts";

const GUESSES_PER_SECOND = 5_000;
/** Enough for a steady answer, few enough that the client does not load the server by itself. */
const CONNECTIONS = 2;

const BODY = {
  input_path: "in.mp4",
  output_path: "out.mp4",
  operations: [{ type: "transcode", video_codec: "h264", crf: 23 }],
  priority: "low",
};

/** Runs `work` while keys are guessed; resolves with what it resolved with and what became of the guesses. */
async function underAttack<T>(options: GuessOptions, work: () => Promise<T>): Promise<[T, Guessed]> {
  const child = Bun.spawn([process.execPath, resolve("bench/workers/guess.ts"), JSON.stringify(options)], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  const output = child.stdout.getReader();
  try {
    await output.read();
    const result = await work();
    await child.stdin.end();
    const decoder = new TextDecoder();
    let text = "";
    for (let part = await output.read(); !part.done; part = await output.read()) text += decoder.decode(part.value);
    return [result, JSON.parse(text) as Guessed];
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
}

async function attack({ folder, long, say }: BenchContext): Promise<Claim[]> {
  await using postgres = await startDurablePostgres(folder);
  // The default limit of an address; the client's requests come from many, the guesses from one.
  const env = { DATABASE_URL: postgres.url, WORKER_PRIORITIES: "high", TRUSTED_PROXIES: "127.0.0.0/8" };
  await using subject = await startSubject({
    folder: join(folder, "server"),
    env: { ...env, ADDRESS_RATE_LIMIT: "1200/min" },
  });
  await createJob(subject, BODY);
  const post: PostOptions = {
    port: subject.port,
    path: "/api/v1/convert",
    headers: { "x-api-key": ADMIN_KEY, "content-type": "application/json" },
    body: JSON.stringify(BODY),
    loops: CONNECTIONS,
    durationMs: long ? 8_000 : 3_000,
    addresses: 60_000,
  };
  const guesses: GuessOptions = {
    ...{ port: subject.port, path: "/api/v1/jobs", perSecond: GUESSES_PER_SECOND, connections: 64 },
  };
  const answered: number[] = [];
  await runLoad("post", { ...post, durationMs: 1_000 });
  const attacked = async (): Promise<Load> => {
    const [load, { seconds, byStatus }] = await underAttack(guesses, () => runLoad("post", post));
    const sum = Object.values(byStatus).reduce((all, count) => all + count, 0);
    answered.push(sum / seconds);
    const tried = (byStatus["401"] ?? 0) + (byStatus["429"] ?? 0);
    if (tried !== sum) throw new Error(`Guesses were answered with ${JSON.stringify(byStatus)}.`);
    return load;
  };
  // What the limit lets through comes first.
  await underAttack(guesses, () => Bun.sleep(1_000));
  const before = cpuOf(subject.pid).own;
  const [, alone] = await underAttack(guesses, () => Bun.sleep(post.durationMs));
  const refused = Object.values(alone.byStatus).reduce((all, count) => all + count, 0);
  const cpuMicroseconds = (1e6 * (cpuOf(subject.pid).own - before)) / refused;
  const loads = await interleave(
    { calm: () => runLoad("post", post), attacked, calmAgain: () => runLoad("post", post) },
    { roundsMin: 4, roundsMax: long ? 12 : 6, budgetMs: 60_000 },
  );
  const latencies = (all: readonly Load[]): number[] => all.flatMap(({ latenciesMs }) => latenciesMs);
  say(`guesses answered a second: ${answered.map(Math.round).join(", ")}`);
  return [
    {
      ...{
        kind: "ratio",
        goal: "S5",
        what: `a valid client's POST /convert under ${GUESSES_PER_SECOND} guesses a second`,
      },
      ...{ baselineName: "calm", unit: "ms", limit: 1.1, bound: "most" },
      baseline: latencies(loads.calm),
      baselineAgain: latencies(loads.calmAgain),
      candidate: latencies(loads.attacked),
    },
    {
      ...{ kind: "figure", goal: "S5", what: "guesses refused a second, slowest round", unit: "/s", limit: null },
      ...{ value: Math.min(...answered), isTime: false },
    },
    {
      ...{ kind: "figure", goal: "S5", what: "the server's CPU for one of them", unit: "µs", limit: null },
      ...{ value: cpuMicroseconds, isTime: true },
    },
  ];
}

export const attackBench: Bench = {
  name: "attack",
  what: "A valid client's latency while another address guesses keys",
  run: attack,
};
