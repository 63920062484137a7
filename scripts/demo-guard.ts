/**
 * `bun scripts/demo-guard.ts FOLDER`: ends everything that belongs to a demo's folder once its standard input ends, which it
 * does with the demo, however that ends: `kill -9` leaves a demo no chance to end its own server.
 */
import { processesWith } from "../test/support/processes.ts";
import { until } from "../test/support/until.ts";
import { killAll } from "./leftovers.ts";

const GRACE_MS = 15_000;

/** Asks them to end, then makes them. `folder` must be so written that no other demo's begins with it. */
export async function endDemo(folder: string): Promise<void> {
  for (const { pid } of processesWith(folder)) {
    try {
      process.kill(pid, "SIGTERM");
    } catch {
      // It ended by itself.
    }
  }
  const ended = () => processesWith(folder).length === 0;
  await until(ended, { timeoutMs: GRACE_MS, intervalMs: 50 }).catch(() => killAll(processesWith(folder)));
}

if (import.meta.main) {
  const [folder] = process.argv.slice(2);
  if (folder === undefined) throw new Error("Which folder?");
  // Ctrl-C goes to the whole terminal: the demo ends its server itself then, and this with it.
  for (const signal of ["SIGINT", "SIGHUP"] as const) process.on(signal, () => {});
  await Bun.stdin.text();
  await endDemo(folder);
}
