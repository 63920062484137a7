/** A load that a process of its own makes: so many loops at once, for so long. */
import { resolve } from "node:path";

/** A load that has begun counts nothing before this. */
const WARM_UP_MS = 300;

export interface Load {
  readonly perSecond: number;
  readonly latenciesMs: readonly number[];
}

/** For the worker: calls `once` in `loops` loops for `durationMs` after a warm-up, and prints what it measured. */
export async function generate(
  loops: number,
  durationMs: number,
  once: (loop: number) => Promise<void>,
): Promise<void> {
  const latenciesMs: number[] = [];
  const from = performance.now() + WARM_UP_MS;
  const until = from + durationMs;
  const run = async (loop: number): Promise<void> => {
    for (let before = performance.now(); before < until; ) {
      await once(loop);
      const after = performance.now();
      if (before >= from && after <= until) latenciesMs.push(Number((after - before).toFixed(3)));
      before = after;
    }
  };
  await Promise.all(Array.from({ length: loops }, (_, loop) => run(loop)));
  const perSecond = latenciesMs.length / (durationMs / 1_000);
  await Bun.write(Bun.stdout, JSON.stringify({ perSecond, latenciesMs } satisfies Load));
}

/** Runs `bench/workers/{worker}.ts` with one JSON argument. */
export async function runLoad(worker: string, options: unknown): Promise<Load> {
  const script = resolve("bench/workers", `${worker}.ts`);
  const child = Bun.spawn([process.execPath, script, JSON.stringify(options)], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  const text = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error(`The worker ${worker} failed.`);
  return JSON.parse(text) as Load;
}
