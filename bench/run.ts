/**
 * `./dev bench [name…] [--long]`: measures what the README claims and what the goals ask for, prints a table, and ends with
 * 0 (nothing missed), 1 (a goal missed beyond the run's own noise, or a bench failed) or 3 (too noisy for a verdict).
 */
import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BENCHES } from "./benches.ts";
import type { Bench } from "./lib/bench.ts";
import { buildIfStale } from "./lib/build.ts";
import { formatTable } from "./lib/table.ts";
import { EXIT_MISSED, exitCodeOf, type Row, toRow } from "./lib/verdict.ts";

const USAGE_EXIT_CODE = 64;

interface Ran {
  readonly rows: readonly Row[];
  readonly failed: readonly string[];
}

async function runAll(benches: readonly Bench[], folder: string, long: boolean): Promise<Ran> {
  const rows: Row[] = [];
  const failed: string[] = [];
  for (const bench of benches) {
    const startedAt = performance.now();
    console.log(`\n${bench.name}: ${bench.what}`);
    const own = join(folder, bench.name);
    await mkdir(own, { mode: 0o711 });
    try {
      const claims = await bench.run({ folder: own, long, say: (text) => console.log(`  ${text}`) });
      const judged = claims.map(toRow);
      rows.push(...judged);
      console.log(formatTable(judged));
    } catch (error) {
      failed.push(bench.name);
      console.error(`${bench.name} failed:`, error);
    } finally {
      await rm(own, { recursive: true, force: true });
    }
    console.log(`  ${((performance.now() - startedAt) / 1_000).toFixed(1)} s`);
  }
  return { rows, failed };
}

async function main(args: readonly string[]): Promise<number> {
  const names = args.filter((arg) => !arg.startsWith("--"));
  const unknown = args.filter((arg) => arg !== "--long" && !BENCHES.some(({ name }) => name === arg));
  if (unknown.length > 0) {
    const list = BENCHES.map(({ name, what }) => `  ${name.padEnd(12)} ${what}`).join("\n");
    console.error(`Unknown: ${unknown.join(" ")}\nUsage: ./dev bench [--long] [name…]\n${list}`);
    return USAGE_EXIT_CODE;
  }
  await buildIfStale();
  const chosen = names.length === 0 ? BENCHES : BENCHES.filter(({ name }) => names.includes(name));
  const folder = await mkdtemp(join(tmpdir(), "bench-"));
  // Postgres runs as another user when we are root, and has to reach its folder.
  await chmod(folder, 0o711);
  try {
    const { rows, failed } = await runAll(chosen, folder, args.includes("--long"));
    console.log(`\n${formatTable(rows)}`);
    if (failed.length > 0) console.error(`Failed: ${failed.join(", ")}`);
    return failed.length > 0 ? EXIT_MISSED : exitCodeOf(rows.map(({ verdict }) => verdict));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

process.exit(await main(process.argv.slice(2)));
