import { expect, test } from "bun:test";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { killStrays } from "../../src/process/strays.ts";
import { isAlive, listProcesses, untilDead } from "../support/processes.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";

/** It lives on, and is ended as what was left in `folder`. */
async function expectStray(pid: number, folder: string): Promise<void> {
  expect(isAlive(pid)).toBe(true);
  expect(await killStrays(`${folder}-other`)).toEqual([]);
  expect(await killStrays(folder)).toEqual([pid]);
  await untilDead(pid);
}

test("ends the inner process whose bubblewrap died before it was set up, and no other", async () => {
  const folder = await makeTempDir("strays");
  const pipe = join(folder, "pipe");
  Bun.spawnSync(["mkfifo", pipe]);
  const box = "--unshare-user --unshare-pid --die-with-parent --as-pid-1 --ro-bind / /";
  // Both ends of the pipe in one, so that opening does not wait; nothing is ever written to it.
  const script = `exec bwrap ${box} --bind "$1" "$1/work" --info-fd 4 --userns-block-fd 3 sleep 60 3<>"$2" 4>/dev/null`;
  const outer = Bun.spawn(["sh", "-c", script, "sh", folder, pipe], {
    stdio: ["ignore", "ignore", "ignore"],
    detached: true,
  });
  try {
    const inner = await until(() => listProcesses().find(({ parent }) => parent === outer.pid), {
      what: "the inner one",
    });
    expect(await killStrays(folder)).toEqual([]);
    outer.kill("SIGKILL");
    await outer.exited;
    await expectStray(inner.pid, folder);
  } finally {
    outer.kill("SIGKILL");
    await killStrays(folder);
  }
});

test("ends the program whose bubblewrap died before the program was bound to it, and no other", async () => {
  const folder = await makeTempDir("strays");
  const workDir = join(folder, "job");
  await mkdir(workDir);
  // Without --die-with-parent nothing is ever bound.
  const system = ["/usr", "/bin", "/lib", "/lib64"].flatMap((path) => ["--ro-bind-try", path, path]);
  const box = ["--unshare-user", "--unshare-pid", "--as-pid-1", ...system, "--bind", workDir, workDir];
  const outer = Bun.spawn(["bwrap", ...box, "--chdir", workDir, "sleep", "60"], {
    stdio: ["ignore", "ignore", "ignore"],
    detached: true,
  });
  try {
    const inner = await until(
      () => listProcesses().find(({ parent, name }) => parent === outer.pid && name === "sleep"),
      { what: "the program" },
    );
    expect(await killStrays(folder)).toEqual([]);
    outer.kill("SIGKILL");
    await outer.exited;
    await rm(workDir, { recursive: true });
    await expectStray(inner.pid, folder);
  } finally {
    outer.kill("SIGKILL");
    await killStrays(folder);
  }
});
