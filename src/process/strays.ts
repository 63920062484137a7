/**
 * What a server that was killed can leave behind in spite of `--die-with-parent`: bubblewrap's inner process binds its life to
 * the outer one late, after it has waited for its user map and made its mounts (bubblewrap 0.8, main()). When the outer one
 * dies before that, the inner one waits for ever, or goes on and becomes the program, which then works on for nobody.
 */
import { readlinkSync } from "node:fs";
import { readdir, readFile, readlink } from "node:fs/promises";

async function read(path: string): Promise<string> {
  // A process may end while it is looked at.
  return await readFile(path, "utf8").catch(() => "");
}

/** Null for one that may not be looked at, and where there are none. */
function namespaceOf(pid: number | "self"): string | null {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return null;
  }
}

/** Pid 1 of a namespace of its own, and its parent as this namespace counts. */
async function lookAt(pid: number): Promise<{ readonly inner: boolean; readonly parent: number }> {
  const status = await read(`/proc/${pid}/status`);
  return {
    inner: /^NSpid:\s*\d+(\s+\d+)*\s+1$/m.test(status),
    parent: Number(/^PPid:\s*(\d+)$/m.exec(status)?.[1] ?? 0),
  };
}

/** Bubblewrap names the folder in its arguments; the program that it becomes works there, also when it is deleted. */
async function isBelow(pid: number, folder: string): Promise<boolean> {
  const works = await readlink(`/proc/${pid}/cwd`).catch(() => "");
  return works.startsWith(`${folder}/`) || (await read(`/proc/${pid}/cmdline`)).includes(`\0${folder}/`);
}

/**
 * Kills the inner processes that lost their bubblewrap and work, or were to work, below `folder` (absolute). One whose bubblewrap
 * lives, also of another server, is left alone. Resolves to the pids; to none where there is no /proc.
 */
export async function killStrays(folder: string): Promise<readonly number[]> {
  const killed: number[] = [];
  const here = namespaceOf("self");
  for (const name of await readdir("/proc").catch(() => [])) {
    if (!/^\d+$/.test(name)) continue;
    const pid = Number(name);
    // Nearly all of a machine's processes: a link says so at a quarter of what their files cost.
    if (here !== null && namespaceOf(pid) === here) continue;
    const { inner, parent } = await lookAt(pid);
    if (!inner) continue;
    if (!(await isBelow(pid, folder))) continue;
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
