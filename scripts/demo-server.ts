/** The server that the demo talks to: the real one, embedded, in a folder of its own. */
import { closeSync, openSync } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { isAlive } from "../test/support/processes.ts";
import { freePort } from "../test/support/servers.ts";
import { until, within } from "../test/support/until.ts";
import { endDemo } from "./demo-guard.ts";

export interface DemoServer extends AsyncDisposable {
  /** Without a slash at the end. */
  readonly url: string;
  readonly pid: number;
  readonly key: string;
  readonly storage: string;
  readonly log: string;
  readonly exited: Promise<number>;
}

const FOLDER = resolve(".cache/demo");
const MAIN = resolve("src/main.ts");
const GUARD = resolve("scripts/demo-guard.ts");
const READY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 15_000;

/** A folder by our process id, so that a demo left up keeps its own; what is left of demos that ended is removed. */
async function makeFolder(): Promise<string> {
  await mkdir(FOLDER, { recursive: true });
  for (const name of await readdir(FOLDER)) {
    const owner = Number(/^(\d+)-demo$/.exec(name)?.[1] ?? process.pid);
    if (isAlive(owner)) continue;
    await endDemo(join(FOLDER, name));
    await rm(join(FOLDER, name), { recursive: true, force: true });
  }
  const folder = join(FOLDER, `${process.pid}-demo`);
  await mkdir(join(folder, "storage"), { recursive: true });
  return folder;
}

/** Nothing that the developer has set for Rendiff: the demo shows the defaults. */
function environment(folder: string, port: number): Record<string, string> {
  const kept = ["PATH", "HOME", "LANG", "TMPDIR"].flatMap((name) => {
    const value = Bun.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return {
    ...Object.fromEntries(kept),
    RENDIFF_ENV: "development",
    DATA_DIR: folder,
    API_HOST: "127.0.0.1",
    API_PORT: `${port}`,
    LOG_FORMAT: "json",
    DRAIN_DELAY: "0s",
    DRAIN_TIMEOUT: "5s",
  };
}

/** Before the server starts: the embedded database has one owner at a time. */
function createKey(folder: string, env: Record<string, string>): string {
  const args = ["keys", "create", "--json", "--role", "user", "--name", "demo"];
  const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, MAIN, ...args], { cwd: folder, env });
  if (exitCode !== 0) throw new Error(`rendiff keys create ended with ${exitCode}:\n${stdout}${stderr}`);
  const { key } = JSON.parse(stdout.toString()) as { key: string };
  return key;
}

/** Ends what the folder's server is, and whatever it has started, when this process ends in any way. */
function startGuard(folder: string): () => void {
  const guard = Bun.spawn([process.execPath, GUARD, folder], {
    stdin: "pipe",
    stdout: "ignore",
    stderr: "ignore",
    detached: true,
  });
  return () => guard.kill("SIGKILL");
}

async function logTail(log: string): Promise<string> {
  return (await Bun.file(log).text()).trim().split("\n").slice(-15).join("\n");
}

export async function startServer(): Promise<DemoServer> {
  const folder = await makeFolder();
  const port = freePort();
  const env = environment(folder, port);
  const key = createKey(folder, env);
  const log = join(folder, "server.log");
  const dismissGuard = startGuard(folder);
  const sink = openSync(log, "a");
  // The working folder is its own too: a .env file of the checkout does not count.
  const server = Bun.spawn([process.execPath, MAIN, "serve"], {
    cwd: folder,
    env,
    stdin: "ignore",
    stdout: sink,
    stderr: sink,
    detached: true,
  });
  closeSync(sink);
  const url = `http://127.0.0.1:${port}`;
  const stop = async () => {
    server.kill("SIGTERM");
    await within(server.exited, STOP_TIMEOUT_MS).catch(() => server.kill("SIGKILL"));
    await server.exited;
    dismissGuard();
  };
  try {
    await until(() => server.exitCode !== null || isReady(url), { timeoutMs: READY_TIMEOUT_MS, what: "the server" });
    if (server.exitCode !== null) throw new Error(`The server ended with ${server.exitCode}.`);
  } catch (error) {
    await stop();
    throw new Error(`The server did not start. The end of its log, ${log}:\n${await logTail(log)}`, { cause: error });
  }
  return {
    ...{ url, key, log, pid: server.pid, storage: join(folder, "storage"), exited: server.exited },
    [Symbol.asyncDispose]: stop,
  };
}

async function isReady(url: string): Promise<boolean> {
  return (await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(1_000) })).ok;
}
