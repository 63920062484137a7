/**
 * What a server that was killed can leave behind in spite of `--die-with-parent`: bubblewrap's inner process waits for the
 * outer one to write its user map before it binds its life to it (bubblewrap 0.8, main()). When the outer one dies in
 * that moment the inner one waits for ever. No program runs in it yet; it holds a pid and a few mounts.
 */
import { readdir, readFile } from "node:fs/promises";

const SPARED = { inner: false, parent: 0 };

async function read(path: string): Promise<string> {
  // A process may end while it is looked at.
  return await readFile(path, "utf8").catch(() => "");
}

/** Pid 1 of a namespace of its own, and its parent as this namespace counts. */
async function lookAt(pid: number): Promise<{ readonly inner: boolean; readonly parent: number }> {
  const status = await read(`/proc/${pid}/status`);
  if (!/^Name:\s*bwrap$/m.test(status)) return SPARED;
  return {
    inner: /^NSpid:\s*\d+(\s+\d+)*\s+1$/m.test(status),
    parent: Number(/^PPid:\s*(\d+)$/m.exec(status)?.[1] ?? 0),
  };
}

/**
 * Kills the inner processes that lost their bubblewrap and were to work below `folder` (absolute). One whose bubblewrap
 * lives, also of another server, is left alone. Resolves to the pids; to none where there is no /proc.
 */
export async function killStrays(folder: string): Promise<readonly number[]> {
  const killed: number[] = [];
  for (const name of await readdir("/proc").catch(() => [])) {
    if (!/^\d+$/.test(name)) continue;
    const pid = Number(name);
    const { inner, parent } = await lookAt(pid);
    if (!inner) continue;
    if (!(await read(`/proc/${pid}/cmdline`)).includes(`\0${folder}/`)) continue;
    if ((await read(`/proc/${parent}/comm`)).trim() === "bwrap") continue;
    try {
      process.kill(pid, "SIGKILL");
      killed.push(pid);
    } catch {
      // It has ended, or is another user's.
    }
  }
  return killed;
}
