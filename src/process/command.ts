/**
 * The argument list that starts a program boxed in: `sh (ulimit) → bwrap or setpriv → program`. Each link replaces itself
 * by the next, so the child keeps one pid; only bubblewrap stays, as the parent of the program.
 */
import type { Binds, HostTools } from "./host.ts";
import { isStaticProgram, realPath } from "./host.ts";
import { LEAST_URGENT, type ProcessRequest } from "./port.ts";

export interface Box {
  readonly tools: HostTools;
  /** Null: no bubblewrap. */
  readonly binds: Binds | null;
}

export interface Command {
  readonly argv: readonly string[];
  /** Who stays as the program's parent; both wrappers use descriptor 3 and report a signal as 128 and its number. */
  readonly wrapper: "bubblewrap" | "watchdog" | "none";
}

/** Where bubblewrap writes the pid of the program, and where the watchdog learns that we are gone. */
const DESCRIPTOR = 3;

/** All that a child's environment holds; two arenas save 15 to 35 % of FFmpeg's memory. */
const ENVIRONMENT = { LC_ALL: "C.UTF-8", MALLOC_ARENA_MAX: "2" } as const;
/**
 * A static glibc that converts characters loads the system's modules, made for another glibc, and crashes: a static ffprobe
 * does so on every MPEG-TS that has a service name. Without modules it takes the text as it is.
 */
const STATIC_ENVIRONMENT = { ...ENVIRONMENT, GCONV_PATH: "/nonexistent" } as const;

export const environmentOf = (program: string): Readonly<Record<string, string>> =>
  isStaticProgram(program) ? STATIC_ENVIRONMENT : ENVIRONMENT;

const KIB = 1024;
/** What POSIX counts files in. */
const BLOCK_BYTES = 512;

/**
 * Limits by a shell, which starts faster than prlimit and is there on every system. All of its text is ours and numbers: what it
 * runs are its arguments, which no shell reads as text.
 */
function shellLimits({ chrt }: HostTools, { limits, niceness }: ProcessRequest): string {
  // Shells add these to what a program is to see.
  const set = ["unset PWD OLDPWD SHLVL"];
  // A child of the shell, so that where it is refused the program starts all the same.
  if (chrt !== null && niceness >= LEAST_URGENT) set.push(`${chrt} -i -p 0 $$`);
  set.push("ulimit -c 0");
  // In whole units, and never more than was allowed.
  const limit = (flag: string, value: number | null, unit = 1) => {
    if (value === null) return;
    const count = Math.floor(value / unit);
    if (!Number.isSafeInteger(count) || count < 0) throw new RangeError(`${value} is no limit of a program.`);
    set.push(`ulimit -${flag} ${count}`);
  };
  limit("v", limits.addressSpaceBytes, KIB);
  limit("f", limits.fileBytes, BLOCK_BYTES);
  limit("t", limits.cpuSeconds === null ? null : Math.ceil(limits.cpuSeconds));
  limit("n", limits.openFiles);
  // What is refused is stricter already, or, as addresses on macOS, nothing that this system limits.
  return `${set.map((one) => `${one} 2>/dev/null`).join("; ")}; exec "$0" "$@"`;
}

/**
 * For systems without `prctl` (macOS): a shell holds the reading end of a pipe whose other end is ours, and kills the program
 * when that end closes. SIGTERM is for the program, which gets it as well, being of the same group.
 */
const WATCHDOG = `trap : TERM
exec 4<&0
"$0" "$@" <&4 4<&- ${DESCRIPTOR}<&- &
child=$!
( read -r gone <&${DESCRIPTOR}; kill -KILL $child ) 2>/dev/null &
dog=$!
exec ${DESCRIPTOR}<&-
wait $child; code=$?
while kill -0 $child 2>/dev/null; do wait $child; code=$?; done
kill -KILL $dog 2>/dev/null
exit $code`;

/**
 * The program as pid 1 of its own namespaces: no network, no other process, no file but the system's libraries, the work
 * folder and what `readOnly` names. As pid 1 it is what a graceful end has to reach, with no reaper between.
 */
function bubblewrapArgs(bwrap: string, binds: Binds, request: ProcessRequest): string[] {
  const program = realPath(request.program);
  const args = [bwrap, "--unshare-all", "--die-with-parent", "--as-pid-1", "--cap-drop", "ALL"];
  // Drivers of devices are libraries even to programs that need none themselves.
  if (!isStaticProgram(request.program) || (request.devices ?? []).length > 0) args.push(...binds.libraries);
  if (request.onlyReads !== true) args.push(...binds.encoding);
  args.push(...binds.always);
  args.push("--ro-bind", program, request.program);
  if (request.workDir !== null) args.push("--bind", request.workDir, request.workDir, "--chdir", request.workDir);
  for (const { source, target } of request.readOnly) args.push("--ro-bind", source, target);
  for (const path of request.devices ?? [])
    args.push(path.startsWith("/dev/") ? "--dev-bind-try" : "--ro-bind-try", path, path);
  // The root is bubblewrap's own memory file system, half the machine's memory large: nothing may be put there.
  args.push("--remount-ro", "/");
  args.push("--info-fd", `${DESCRIPTOR}`, "--");
  return args;
}

export function makeCommand(box: Box, request: ProcessRequest): Command {
  const { tools } = box;
  const argv = [tools.sh, "-c", shellLimits(tools, request)];
  let wrapper: Command["wrapper"] = "none";
  if (request.niceness !== 0 && tools.nice !== null) argv.push(tools.nice, "-n", `${request.niceness}`);
  if (request.sandbox === "default" && box.binds !== null && tools.bwrap !== null) {
    wrapper = "bubblewrap";
    argv.push(...bubblewrapArgs(tools.bwrap, box.binds, request));
  } else if (tools.setpriv !== null) argv.push(tools.setpriv, "--pdeathsig", "KILL", "--");
  else {
    wrapper = "watchdog";
    argv.push(tools.sh, "-c", WATCHDOG);
  }
  argv.push(request.program, ...request.args);
  return { argv, wrapper };
}
