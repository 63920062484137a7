/**
 * Does the sandbox hold on this machine? A probe runs in it and tries what hostile media would: to read a canary file outside
 * its work folder and to reach a canary listener on loopback. Both have to fail, and writing to the work folder to succeed.
 *
 * The probe is this very program, which is Bun: nothing else that can open a socket is sure to be installed. Bun needs its
 * own /proc/self, which FFmpeg does not get.
 */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { startChild } from "./child.ts";
import type { Box } from "./command.ts";
import { makeCommand } from "./command.ts";
import { realPath } from "./host.ts";

const TIMEOUT_MS = 10_000;

const PROBE = `
const { readFileSync, readdirSync, writeFileSync } = require("node:fs");
const [canary, port, work] = process.argv.slice(-3);
const tell = (network) => { console.log(JSON.stringify({ read, listed, wrote, network })); process.exit(0); };
let read = false, listed = false, wrote = false;
try { readFileSync(canary); read = true; } catch {}
try { readdirSync("/home"); listed = true; } catch {}
try { readFileSync("/etc/passwd"); listed = true; } catch {}
try { writeFileSync(work + "/written", "1"); wrote = true; } catch {}
const socket = require("node:net").connect(Number(port), "127.0.0.1");
socket.on("connect", () => tell(true));
socket.on("error", () => tell(false));
setTimeout(() => tell(false), 2000);
`;

interface Findings {
  readonly read: boolean;
  readonly listed: boolean;
  readonly wrote: boolean;
  readonly network: boolean;
}

interface Probe {
  readonly box: Box;
  readonly workDir: string;
  readonly canary: string;
  readonly port: number;
  onStarted(): void;
}

async function runProbe({ box, workDir, canary, port, onStarted }: Probe): Promise<Findings | string> {
  const lines: string[] = [];
  const own = ["--ro-bind", "/proc/self", "/proc/self", "--setenv", "BUN_BE_BUN", "1"];
  const binds = box.binds === null ? null : { ...box.binds, always: [...box.binds.always, ...own] };
  const request = {
    program: realPath(process.execPath),
    args: [join(workDir, "probe.cjs"), canary, `${port}`, workDir],
    workDir,
    readOnly: [],
    limits: { addressSpaceBytes: null, fileBytes: null, cpuSeconds: 10, openFiles: 256 },
    sandbox: "default",
    niceness: 0,
    onLine: (line: string) => lines.push(line),
    stderrBytesMax: 4096,
  } as const;
  const handle = startChild(makeCommand({ ...box, binds }, request), request);
  onStarted();
  const timer = setTimeout(() => handle.kill(), TIMEOUT_MS);
  const exit = await handle.exited;
  clearTimeout(timer);
  if (exit.exitCode === 0 && lines[0] !== undefined) return JSON.parse(lines[0]) as Findings;
  return exit.stderrTail.trim().split("\n").at(0) || `it ended with ${exit.exitCode ?? exit.signal}`;
}

function judge(found: Findings | string, connections: number): string | null {
  if (typeof found === "string") return `bubblewrap does not run here: ${found}`;
  if (found.read || found.listed) return "a sandboxed process could read files outside its work folder";
  if (found.network || connections > 0) return "a sandboxed process could open a network connection";
  if (!found.wrote) return "a sandboxed process could not write to its work folder";
  return null;
}

/**
 * Null when the sandbox held; otherwise why it did not, as the end of a sentence. What it needs lies in `scratchDir`
 * meanwhile. `onStarted`: from now on it only waits for the probe.
 */
export async function testSandbox(
  box: Box,
  scratchDir: string,
  onStarted: () => void = () => {},
): Promise<string | null> {
  const folder = await mkdtemp(join(scratchDir, "rendiff-sandbox-"));
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.destroy();
  });
  try {
    const workDir = join(folder, "work");
    await mkdir(workDir);
    await Bun.write(join(folder, "canary"), "canary");
    await Bun.write(join(workDir, "probe.cjs"), PROBE);
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const probe = { box, workDir, canary: join(folder, "canary"), port, onStarted };
    return judge(await runProbe(probe), connections);
  } finally {
    server.close();
    await rm(folder, { recursive: true, force: true });
  }
}
