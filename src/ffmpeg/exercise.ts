/** Runs tries: several in one process, and one by one only where that failed. */
import { toEvidence } from "../media/diagnose.ts";
import type { Ability } from "../media/types.ts";
import type { ProcessRunner } from "../process/port.ts";
import { inputArgs, type Try } from "./capability-tries.ts";
import { runTool } from "./run-tool.ts";

const TIMEOUT_MS = 60_000;
const AT_ONCE = 2;
/** With sixty outputs and their hundred threads FFmpeg 9 now and then waits for itself for ever. */
const TOGETHER_MAX = 8;
const TOGETHER_TIMEOUT_MS = 10_000;
const FILE_BYTES_MAX = 100_000_000;

export interface Bench {
  readonly runner: ProcessRunner;
  readonly ffmpegPath: string;
  /** Holds the subtitle; the muxers' files go there. */
  readonly workDir: string;
  /** What a card's encoder has to see. */
  readonly devices?: readonly string[];
}

const OK: Ability = { ok: true };

/** What FFmpeg says last is often only a consequence: the first complaint is the reason. */
function reasonOf(stderr: string, workDir: string): string {
  const lines = stderr.split(/[\r\n]+/).filter((line) => line.trim() !== "");
  const line = lines.find((one) => /\[(error|fatal)\]/.test(one)) ?? lines.at(-1) ?? "FFmpeg failed without a word";
  return toEvidence(line, [workDir]);
}

/** Null when all went well, otherwise why not. */
async function runTries(bench: Bench, head: readonly string[], tries: readonly Try[]): Promise<string | null> {
  const timeoutMs = tries.length > 1 ? TOGETHER_TIMEOUT_MS : TIMEOUT_MS;
  const { exit, timedOut } = await runTool({
    runner: bench.runner,
    program: bench.ffmpegPath,
    args: [
      ...["-nostdin", "-hide_banner", "-nostats", "-y", "-v", "level+error", ...head],
      ...inputArgs(bench.workDir),
      ...tries.flatMap((one) => one.args),
    ],
    workDir: bench.workDir,
    devices: bench.devices ?? [],
    limits: { addressSpaceBytes: null, fileBytes: FILE_BYTES_MAX, cpuSeconds: 120, openFiles: 1024 },
    timeoutMs,
  });
  if (timedOut) return `it did not end within ${timeoutMs / 1000} seconds`;
  return exit.exitCode === 0 ? null : reasonOf(exit.stderrTail, bench.workDir);
}

/** Maps in order, `AT_ONCE` at a time. */
async function mapBounded<In, Out>(items: readonly In[], work: (item: In) => Promise<Out>): Promise<Out[]> {
  const results = new Map<number, Out>();
  const queue = items.entries();
  const drain = async () => {
    for (const [index, item] of queue) results.set(index, await work(item));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, drain));
  return [...results.entries()].sort(([a], [b]) => a - b).map(([, result]) => result);
}

async function mapInTurn<In, Out>(items: readonly In[], work: (item: In) => Promise<Out>): Promise<Out[]> {
  const results: Out[] = [];
  for (const item of items) results.push(await work(item));
  return results;
}

export type Abilities = Record<string, Ability>;

/** Each try's ability by its name. `listed` are the names this FFmpeg knows: the others fail without a process. */
export async function exercise(
  bench: Bench,
  tries: readonly Try[],
  listed: ReadonlySet<string>,
  head: readonly string[] = [],
): Promise<Abilities> {
  const abilities: Abilities = {};
  const present = tries.filter((one) => listed.has(one.name));
  for (const { name } of tries) abilities[name] = { ok: false, reason: `this FFmpeg was built without ${name}` };
  const groups = Array.from({ length: Math.ceil(present.length / TOGETHER_MAX) }, (_, index) =>
    present.slice(index * TOGETHER_MAX, (index + 1) * TOGETHER_MAX),
  );
  const outcomes = (
    await mapBounded(groups, async (group): Promise<(string | null)[]> => {
      const together = await runTries(bench, head, group);
      if (together === null || group.length === 1) return group.map(() => together);
      return await mapInTurn(group, (one) => runTries(bench, head, [one]));
    })
  ).flat();
  for (const [index, { name }] of present.entries()) {
    const reason = outcomes[index] ?? null;
    abilities[name] = reason === null ? OK : { ok: false, reason };
  }
  return abilities;
}
