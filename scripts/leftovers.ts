/**
 * What a run leaves behind: processes and temporary files. Everything a run starts carries its folder's path, as TMPDIR or
 * in its arguments, so that also a process that left its parent and its session is found.
 */
import { readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { descendantsOf, isAlive, type ProcessInfo, processesWith } from "../test/support/processes.ts";
import { until } from "../test/support/until.ts";

export const RUN_PREFIX = "rendiff-run-";
const GRACE_MS = 2_000;

const show = ({ pid, commandLine, name }: ProcessInfo) => `process ${pid}: ${(commandLine || name).slice(0, 160)}`;

/** SIGKILL to each, by its own id. */
export function killAll(processes: readonly ProcessInfo[]): void {
  for (const { pid } of processes) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It ended by itself.
    }
  }
}

/** Kills and names the processes that outlive their suite; `servers` are the run's own, and stay. */
export async function endProcesses(runFolder: string, servers: readonly number[]): Promise<string[]> {
  const remaining = () => {
    const found = processesWith(runFolder);
    // Postgres gives each of its processes a session of its own.
    const ours = new Set([...servers, ...servers.flatMap((pid) => descendantsOf(pid).map((one) => one.pid))]);
    return found.filter(({ pid }) => !ours.has(pid));
  };
  // A killed child needs a moment to be gone.
  await until(() => remaining().length === 0, { timeoutMs: GRACE_MS }).catch(() => {});
  const left = remaining();
  killAll(left);
  return left.map(show);
}

/** Removes and names what the suite left in its temporary folder. */
export async function removeFiles(folder: string): Promise<string[]> {
  const left = await readdir(folder);
  await Promise.all(left.map((name) => rm(join(folder, name), { recursive: true, force: true })));
  return left.map((name) => `temporary file ${name}`);
}

/** Runs that were killed could not clean up: the next one does. */
export async function sweepDeadRuns(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    if (!name.startsWith(RUN_PREFIX)) continue;
    const folder = join(tmpdir(), name);
    const owner = Number(await readFile(join(folder, "pid"), "utf8").catch(() => ""));
    if (owner === 0 || isAlive(owner)) continue;
    killAll(processesWith(folder));
    await rm(folder, { recursive: true, force: true });
  }
}
