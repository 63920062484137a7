/** Machines that are not as they should be: their clocks are hours off, their disks are full. */
import { existsSync } from "node:fs";
import { listProcesses } from "../../support/processes.ts";
import { PROGRAM } from "../../support/server.ts";
import { again, type Fault, last, ofRole } from "./fault.ts";
import type { Replica } from "./world.ts";

const LIBRARIES = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64"].map(
  (folder) => `${folder}/faketime/libfaketimeMT.so.1`,
);
const DISK_BYTES = 16 * 1024 * 1024;
/** Room for an output or two. */
const LEFT_BYTES = 48 * 1024;
const FILL = `head -c ${DISK_BYTES} /dev/zero >"$0" 2>/dev/null; truncate -s -${LEFT_BYTES} "$0"`;

/** Takes all but a little of a disk that only the replica sees, once it runs. */
function fill({ home, server }: Replica): void {
  // bubblewrap itself stays outside.
  const inside = listProcesses().find(({ parent }) => parent === server?.pid);
  if (inside === undefined) throw new Error("The replica does not run in its box.");
  Bun.spawnSync(["/bin/sh", "-c", FILL, `/proc/${inside.pid}/root${home}/filled`]);
}

/** A machine's clock is off; time still passes as it does. */
function skewed(hours: number): Record<string, string> {
  const library = LIBRARIES.find((path) => existsSync(path));
  if (library === undefined) throw new Error("libfaketime is not installed: ./dev test installs it.");
  const offset = `${hours < 0 ? "-" : "+"}${Math.abs(hours)}h`;
  return { LD_PRELOAD: library, FAKETIME: offset, FAKETIME_DONT_FAKE_MONOTONIC: "1", FAKETIME_NO_CACHE: "1" };
}

export const MACHINE_FAULTS: Readonly<Record<string, Fault>> = {
  // It goes on so until it is started anew for some other reason.
  "a replica whose clock is hours off": async (world, random) => {
    const victim = random.pick(ofRole(world, random.pick(["worker", "api"] as const)));
    await victim.kill();
    await again(victim, undefined, skewed(random.pick([-30, -5, 3, 26])));
  },
  "a worker whose disk is full": async (world, random) => {
    const victim = random.pick(ofRole(world, "worker"));
    await victim.kill();
    const box = ["bwrap", "--die-with-parent", "--dev-bind", "/", "/", "--size", `${DISK_BYTES}`];
    await again(victim, [...box, "--tmpfs", victim.home, "--", ...PROGRAM]);
    fill(victim);
    await last(world.leaseTtlMs * 2);
    await victim.kill();
    await again(victim);
  },
};
