/** CPU time and memory of other processes, as /proc tells them; both are Linux's. */
import { readFileSync } from "node:fs";

const TICKS_PER_SECOND = 100;
const MIB = 1024 * 1024;

export interface CpuSeconds {
  /** The process with all its threads. */
  readonly own: number;
  /** Its children that have ended, with theirs. */
  readonly children: number;
}

/** To 10 ms, which is what the kernel counts in. */
export function cpuOf(pid: number): CpuSeconds {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // After the name, which may hold spaces: state is field 3, utime, stime, cutime and cstime are 14 to 17.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const seconds = (field: number): number => Number(fields[field - 3]) / TICKS_PER_SECOND;
  return { own: seconds(14) + seconds(15), children: seconds(16) + seconds(17) };
}

function status(pid: number, name: string): number {
  const line = readFileSync(`/proc/${pid}/status`, "utf8")
    .split("\n")
    .find((text) => text.startsWith(`${name}:`));
  return (Number(line?.replace(/\D/g, "")) * 1024) / MIB;
}

export const residentMiB = (pid: number): number => status(pid, "VmRSS");

/** The most since the process began, or since `resetPeak`. */
export const peakMiB = (pid: number): number => status(pid, "VmHWM");
