/**
 * The program under test as a child process: the compiled binary where there is one, else the sources. Everything that a
 * server starts carries its folder in its arguments, environment or working folder, so that nothing can hide.
 */
import { closeSync, existsSync, openSync } from "node:fs";
import { mkdir, readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { findPackager } from "../../src/ffmpeg/packager.ts";
import { afterFile } from "./cleanup.ts";
import { testEnv } from "./env.ts";
import { giveCapabilities, keepCapabilities } from "./known-capabilities.ts";
import { createDatabase } from "./postgres.ts";
import { type ProcessInfo, processesWith } from "./processes.ts";
import { freePort } from "./servers.ts";
import { makeTempDir } from "./temp-dir.ts";
import { until, within } from "./until.ts";

export type Profile = "embedded" | "postgres" | "cluster";
export const PROFILES: readonly Profile[] = ["embedded", "postgres"];

/** Of a replica that runs nothing. */
export const NO_FFMPEG = { FFMPEG_PATH: "/nonexistent/ffmpeg", FFPROBE_PATH: "/nonexistent/ffprobe" };

const ROOT = resolve(import.meta.dir, "../..");
const READY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 30_000;
const OUTPUT_LINES = 30;

/** The words that start Rendiff. */
function programWords(): readonly string[] {
  const named = Bun.env.RENDIFF_BINARY ?? Bun.env.TEST_BINARY ?? join(ROOT, "dist/rendiff");
  if (existsSync(named)) return [resolve(named)];
  return [process.execPath, join(ROOT, "src/main.ts")];
}

export const PROGRAM = programWords();

export interface CommandResult {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

/** Nothing that the developer or the runner has set for Rendiff. */
function environment(extra: Readonly<Record<string, string>>): Record<string, string> {
  const kept = ["PATH", "LANG", "TMPDIR"].flatMap((name) => {
    const value = Bun.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { ...Object.fromEntries(kept), ...extra };
}

/** Starts a command in the background. `cwd` should be a folder of the test's own: it is also HOME. */
export function startCommand(args: readonly string[], { cwd, env = {} }: CommandOptions) {
  return Bun.spawn([...PROGRAM, ...args], {
    cwd,
    env: environment({ HOME: cwd, ...env }),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    detached: true,
  });
}

/** Runs a command to its end. */
export async function runCommand(args: readonly string[], options: CommandOptions): Promise<CommandResult> {
  const child = startCommand(args, options);
  const all = Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited]);
  try {
    const [stdout, stderr] = await within(all, options.timeoutMs ?? 60_000, `rendiff ${args.join(" ")} to end`);
    return { exitCode: child.exitCode, stdout, stderr };
  } finally {
    child.kill("SIGKILL");
  }
}

/** A place for one server's files: data, work folders and storage below one folder. */
export interface Site {
  readonly folder: string;
  readonly dataDir: string;
  readonly storage: string;
  readonly tempDir: string;
  readonly profile: Profile;
  readonly env: Readonly<Record<string, string>>;
}

const PACKAGER = findPackager(null);

export async function makeSite(profile: Profile, env: Readonly<Record<string, string>> = {}): Promise<Site> {
  const folder = await makeTempDir("site");
  const storage = join(folder, "storage");
  const dataDir = join(folder, "data");
  const tempDir = join(dataDir, "tmp");
  await mkdir(storage, { recursive: true });
  await giveCapabilities(dataDir);
  const database = profile === "embedded" ? {} : { DATABASE_URL: (await createDatabase()).url };
  const redis =
    profile === "cluster" ? { REDIS_URL: testEnv().redisUrl, REDIS_PREFIX: `{test:${Bun.randomUUIDv7()}}:` } : {};
  return {
    ...{ folder, dataDir, storage, tempDir, profile },
    env: {
      ...{ RENDIFF_ENV: "test", DATA_DIR: dataDir, STORAGE_PATH: storage, TEMP_STORAGE: tempDir, LOG_FORMAT: "json" },
      ...{ DRAIN_DELAY: "0s", DRAIN_TIMEOUT: "20s", LEASE_TTL: "3s", WORKER_CONCURRENCY: "2" },
      ...{ RATE_LIMIT: "100000/min", ADDRESS_RATE_LIMIT: "100000/min", API_HOST: "127.0.0.1" },
      // The sources find the one in node_modules themselves; a compiled binary has none.
      ...(PACKAGER === null ? {} : { PACKAGER_PATH: PACKAGER }),
      ...database,
      ...redis,
      ...env,
    },
  };
}

export interface KeyOptions {
  readonly role?: "admin" | "user" | "readonly";
}

/** With an embedded database only while no server runs on the site. */
export async function makeKey(site: Site, { role = "user" }: KeyOptions = {}): Promise<string> {
  const args = ["keys", "create", "--json", "--role", role, "--name", "e2e"];
  const { exitCode, stdout, stderr } = await runCommand(args, { cwd: site.folder, env: site.env });
  if (exitCode !== 0) throw new Error(`rendiff keys create ended with ${exitCode}:\n${stdout}${stderr}`);
  return (JSON.parse(stdout) as { key: string }).key;
}

export interface RunningServer extends AsyncDisposable {
  readonly site: Site;
  /** Without a slash at the end. */
  readonly url: string;
  readonly pid: number;
  readonly exited: Promise<number>;
  /** As `mediaOf`. */
  media(): ProcessInfo[];
  log(): Promise<string>;
  signal(signal: NodeJS.Signals): void;
  /** SIGKILL to the server alone, as the kernel's OOM killer does it. */
  kill(): Promise<void>;
  /** SIGTERM, and the exit code. Kills it when it does not end in time. */
  stop(): Promise<number>;
}

/** FFmpeg and ffprobe of the site, and the boxes they run in, whoever is their parent. */
export const mediaOf = ({ folder }: Pick<Site, "folder">): ProcessInfo[] =>
  processesWith(folder).filter(({ name }) => /^(ffmpeg|ffprobe|bwrap)/.test(name));

export const isReady = async (url: string): Promise<boolean> =>
  (await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(2_000) })).ok;

let starts = 0;

/** An API without FFmpeg and a worker, as one: what a client sees is the API. */
async function startReplicas(site: Site, env: Readonly<Record<string, string>>): Promise<RunningServer> {
  const worker = await startServer(site, { ...env, RENDIFF_ROLE: "worker" });
  const none = join(site.folder, "no-ffmpeg");
  const own = join(site.folder, "api");
  const api = await startServer(site, {
    ...{ ...env, RENDIFF_ROLE: "api", FFMPEG_PATH: none, FFPROBE_PATH: none },
    ...{ DATA_DIR: own, TEMP_STORAGE: join(own, "tmp") },
  });
  const both = [api, worker] as const;
  return {
    ...api,
    exited: Promise.race(both.map(({ exited }) => exited)),
    log: async () => (await Promise.all(both.map(({ log }) => log()))).join("\n"),
    signal: (signal) => {
      for (const one of both) one.signal(signal);
    },
    kill: async () => void (await Promise.all(both.map((one) => one.kill()))),
    stop: async () => Math.max(...(await Promise.all(both.map((one) => one.stop())))),
    async [Symbol.asyncDispose]() {
      await Promise.all(both.map((one) => one[Symbol.asyncDispose]()));
    },
  };
}

/**
 * Resolves when it is ready. In the cluster profile without a role it is two processes. `program`: the words that start
 * another build than the one under test.
 */
export async function startServer(
  site: Site,
  env: Readonly<Record<string, string>> = {},
  program: readonly string[] = PROGRAM,
): Promise<RunningServer> {
  if (site.profile === "cluster" && env.RENDIFF_ROLE === undefined && site.env.RENDIFF_ROLE === undefined) {
    return startReplicas(site, env);
  }
  const dataDir = env.DATA_DIR ?? site.dataDir;
  const needsFfmpeg = (env.RENDIFF_ROLE ?? site.env.RENDIFF_ROLE) !== "api";
  if (needsFfmpeg) await giveCapabilities(dataDir);
  // A replica that is started again may keep its address.
  const port = env.API_PORT === undefined ? freePort() : Number(env.API_PORT);
  const logPath = join(site.folder, `server-${++starts}.log`);
  const sink = openSync(logPath, "a");
  const child = Bun.spawn([...program, "serve"], {
    cwd: site.folder,
    env: environment({ HOME: site.folder, ...site.env, API_PORT: `${port}`, ...env }),
    stdin: "ignore",
    stdout: sink,
    stderr: sink,
    detached: true,
  });
  closeSync(sink);
  // Registered after the site, and so run before its folder and its database go.
  afterFile(() => kill());
  const url = `http://127.0.0.1:${port}`;
  const log = () => Bun.file(logPath).text();
  const kill = async () => {
    child.kill("SIGKILL");
    await child.exited;
  };
  const stop = async () => {
    child.kill("SIGTERM");
    await within(child.exited, STOP_TIMEOUT_MS, "the server to end after SIGTERM").catch(async (error: unknown) => {
      await kill();
      throw error;
    });
    return child.exitCode ?? -1;
  };
  try {
    const ended = () => child.exitCode !== null || child.signalCode !== null;
    await until(() => ended() || isReady(url), { timeoutMs: READY_TIMEOUT_MS, intervalMs: 20, what: "the server" });
    if (ended()) throw new Error(`The server ended with ${child.exitCode ?? child.signalCode}.`);
    if (needsFfmpeg) await keepCapabilities(dataDir);
  } catch (error) {
    await kill();
    const tail = (await log()).trim().split("\n").slice(-OUTPUT_LINES).join("\n");
    throw new Error(`The server did not start:\n${tail}`, { cause: error });
  }
  return {
    ...{ site, url, pid: child.pid, exited: child.exited, log, kill, stop },
    media: () => mediaOf(site),
    signal: (signal) => child.kill(signal),
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) await stop();
    },
  };
}

/** What is left of jobs that are over: work folders, staging files, media processes. Empty when all is clean. */
export async function leftovers(site: Site): Promise<string[]> {
  const { tempDir, storage } = site;
  const files = async (root: string) => await readdir(root, { recursive: true }).catch(() => []);
  const work = (await readdir(tempDir).catch(() => [])).map((name) => `work folder ${name}`);
  const staging = (await files(storage))
    .filter((name) => /(^|\/)\.rendiff-/.test(name))
    .map((name) => `staging ${name}`);
  const media = mediaOf(site).map(({ pid, commandLine }) => `process ${pid} ${commandLine}`);
  return [...work, ...staging, ...media];
}

/** Waits until nothing is left; fails with the list of what is. */
export async function untilClean(site: Site, timeoutMs = 10_000): Promise<void> {
  let left: string[] = [];
  const clean = async () => {
    left = await leftovers(site);
    return left.length === 0;
  };
  await until(clean, { timeoutMs, intervalMs: 50 }).catch(() => {
    throw new Error(`Left behind: ${left.join("; ")}`);
  });
}
