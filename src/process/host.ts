/** What this machine has for boxing a child in; looked up once, before the first start. */
import { closeSync, existsSync, lstatSync, openSync, readlinkSync, readSync, realpathSync } from "node:fs";

export interface HostTools {
  readonly bwrap: string | null;
  readonly setpriv: string | null;
  /** Where a child's threads and children cannot be told their niceness from outside. */
  readonly nice: string | null;
  /** Gives a program the policy of who gets what nobody else wants. */
  readonly chrt: string | null;
  /** Sets the limits: without it nothing is started. */
  readonly sh: string;
}

export function findHostTools(): HostTools {
  const linux = process.platform === "linux";
  const find = (name: string) => Bun.which(name, { PATH: "/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin" });
  return {
    bwrap: linux ? find("bwrap") : null,
    setpriv: linux ? find("setpriv") : null,
    nice: linux ? null : find("nice"),
    chrt: linux ? find("chrt") : null,
    sh: find("sh") ?? "/bin/sh",
  };
}

/** Folders that hold what a dynamically linked program loads, and nothing that belongs to a user. */
const PROGRAM_FOLDERS = [
  "/usr/lib",
  "/usr/lib64",
  "/usr/lib32",
  "/usr/local/lib",
  "/etc/alternatives",
  // Package stores: programs there load everything from there.
  "/nix/store",
  "/gnu/store",
];
/** Symbolic links into /usr on most systems, folders on some. */
const LIBRARY_FOLDERS = ["/lib", "/lib64", "/lib32"];
const LOADER_CACHE = "/etc/ld.so.cache";
const FONT_FOLDERS = ["/usr/share/fonts", "/usr/share/fontconfig", "/usr/local/share/fonts", "/etc/fonts"];
/** Without the processors' layout x265 makes too few threads and runs at half its speed. */
const PROCESSORS = ["/proc/cpuinfo", "/sys/devices/system"];
const DEVICES = ["/dev/null", "/dev/zero", "/dev/urandom"];

function isLink(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink();
  } catch {
    return false;
  }
}

/** The parts of bubblewrap's arguments that are the same for every child on this machine. */
export interface Binds {
  /** What a program loads. A static one loads nothing, and each bind is a tenth of a millisecond of bubblewrap's work. */
  readonly libraries: readonly string[];
  /** What writes pictures needs: fonts, and the processors' layout for its threads. */
  readonly encoding: readonly string[];
  readonly always: readonly string[];
}

const readOnly = (paths: readonly string[]): string[] =>
  paths.filter((path) => existsSync(path)).flatMap((path) => ["--ro-bind", path, path]);

export function systemBinds(): Binds {
  const links = LIBRARY_FOLDERS.filter(isLink);
  return {
    libraries: [
      ...readOnly(PROGRAM_FOLDERS),
      ...links.flatMap((folder) => ["--symlink", readlinkSync(folder), folder]),
      ...readOnly(LIBRARY_FOLDERS.filter((folder) => !links.includes(folder))),
      ...readOnly([LOADER_CACHE]),
    ],
    encoding: readOnly([...FONT_FOLDERS, ...PROCESSORS]),
    always: DEVICES.flatMap((device) => ["--dev-bind", device, device]),
  };
}

/** The file itself where `path` may be a link, because only the file is shown to the child. */
export function realPath(path: string): string {
  return realpathSync(path);
}

const PROGRAM_HEADER_INTERPRETER = 3;

/** Whether an ELF file names no loader (System V ABI, program header PT_INTERP); false for what is no 64-bit ELF. */
export function isStaticElf(head: Buffer): boolean {
  const is64 = head.length >= 64 && head.readUInt32BE(0) === 0x7f454c46 && head[4] === 2 && head[5] === 1;
  if (!is64) return false;
  const start = Number(head.readBigUInt64LE(32));
  const size = head.readUInt16LE(54);
  const count = head.readUInt16LE(56);
  for (let index = 0; index < count; index += 1) {
    const at = start + index * size;
    if (at + 4 > head.length) return false;
    if (head.readUInt32LE(at) === PROGRAM_HEADER_INTERPRETER) return false;
  }
  return true;
}

const statics = new Map<string, boolean>();

function readHead(path: string): Buffer {
  const head = Buffer.alloc(4096);
  let file: number | null = null;
  try {
    file = openSync(path, "r");
    return head.subarray(0, readSync(file, head, 0, head.length, 0));
  } catch {
    // A program that may be run but not read.
    return Buffer.alloc(0);
  } finally {
    if (file !== null) closeSync(file);
  }
}

export function isStaticProgram(path: string): boolean {
  const answer = statics.get(path) ?? isStaticElf(readHead(path));
  statics.set(path, answer);
  return answer;
}
