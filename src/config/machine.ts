/** What the machine offers: the one place that asks, so that everything else of the configuration is pure. */
import { readFileSync, statfsSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import { dirname } from "node:path";

export interface Machine {
  readonly cpuCount: number;
  readonly memoryBytes: number;
  /** Standard output goes to a terminal. */
  readonly isTerminal: boolean;
  /** The size of the disk that holds `path`, or will when it is made; 0 when nobody can say. */
  diskBytes(path: string): number;
}

/** A container's share counts as the machine: planning for memory that the kernel will not give ends in kills. */
export function readMachine(): Machine {
  const memoryLimits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
  return {
    cpuCount: Math.max(1, Math.min(availableParallelism(), Math.ceil(readCpuQuota()))),
    memoryBytes: Math.min(totalmem(), ...memoryLimits.map((path) => positive(readOr(path, "")))),
    isTerminal: process.stdout.isTTY === true,
    diskBytes,
  };
}

function readOr(path: string, fallback: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return fallback;
  }
}

/** Infinity for what sets no limit: absent, `max`, −1. */
function positive(text: string): number {
  const value = Number(text);
  return text !== "" && Number.isFinite(value) && value > 0 ? value : Number.POSITIVE_INFINITY;
}

function readCpuQuota(): number {
  const [quota = "", period = "100000"] = readOr("/sys/fs/cgroup/cpu.max", "").split(" ");
  if (quota !== "") return positive(quota) / positive(period);
  const old = "/sys/fs/cgroup/cpu";
  return positive(readOr(`${old}/cpu.cfs_quota_us`, "")) / positive(readOr(`${old}/cpu.cfs_period_us`, "100000"));
}

function diskBytes(path: string): number {
  try {
    const { blocks, bsize } = statfsSync(path);
    return blocks * bsize;
  } catch {
    const parent = dirname(path);
    return parent === path ? 0 : diskBytes(parent);
  }
}
