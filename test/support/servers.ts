/**
 * A real Postgres and a real Redis on free loopback ports, with their files in a temporary folder. `./dev test` starts one
 * of each for all suites; a test that kills, freezes or restarts its server starts one of its own.
 *
 * Each server dies with the process that started it (PR_SET_PDEATHSIG, where there is one), so that a killed test run
 * leaves none behind.
 */
import { writeFileSync } from "node:fs";
import { chown, mkdir, readdir, realpath, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Subprocess } from "bun";
import { within } from "./until.ts";

export interface TestServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Of the running server; another one after a restart. */
  readonly pid: number;
  /** Asks it to end, kills it after 10 s. Idempotent. Its files stay until the folder is removed. */
  stop(): Promise<void>;
  /** SIGKILL, as a crash does. */
  crash(): Promise<void>;
  /** Starts it again on the same port and files, after `stop` or `crash`. */
  restart(): Promise<void>;
}

export interface Program {
  readonly name: string;
  readonly argv: (port: number) => string[];
  readonly url: (port: number) => string;
  /** The line that says it accepts connections. */
  readonly readyLine: string;
  readonly stopSignal: "SIGTERM" | "SIGINT" | "SIGQUIT";
  readonly env?: Readonly<Record<string, string>>;
}

const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 10_000;
/** Postgres refuses to run as root; nobody exists everywhere. */
const NOBODY = 65_534;
const LINUX = process.platform === "linux";
const ROOT = process.getuid?.() === 0;

/** A port that was free a moment ago: another process may take it first, therefore starts are tried again. */
export function freePort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}

/** Drops root's rights when `unprivileged`, and dies with its parent. */
export function wrapped(argv: string[], unprivileged: boolean, deathSignal = "KILL"): string[] {
  if (!LINUX) return argv;
  const drop = unprivileged && ROOT ? [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"] : [];
  return ["setpriv", ...drop, `--pdeathsig=${deathSignal}`, "--", ...argv];
}

/** The last lines a server printed, and a promise of the one that says it is ready. */
function watchOutput(child: Subprocess<"ignore", "pipe", "pipe">, readyLine: string) {
  const tail: string[] = [];
  const ready = Promise.withResolvers<void>();
  const drain = async (stream: ReadableStream<Uint8Array>) => {
    const decoder = new TextDecoder();
    for await (const bytes of stream) {
      const text = decoder.decode(bytes, { stream: true });
      tail.push(text);
      if (tail.length > 50) tail.shift();
      if (tail.join("").includes(readyLine)) ready.resolve();
    }
  };
  for (const stream of [child.stdout, child.stderr]) {
    drain(stream).catch(() => {});
  }
  return { ready: ready.promise, output: () => tail.join("").trim().split("\n").slice(-10).join("\n") };
}

async function launch(program: Program, port: number) {
  const child = Bun.spawn(program.argv(port), {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    detached: true,
    env: { PATH: Bun.env.PATH ?? "", LC_ALL: "C", ...program.env },
  });
  const { ready, output } = watchOutput(child, program.readyLine);
  const ended = child.exited.then((code) => {
    throw new Error(`${program.name} ended with ${code} before it was ready:\n${output()}`);
  });
  ended.catch(() => {});
  try {
    await within(Promise.race([ready, ended]), START_TIMEOUT_MS, `${program.name} to accept connections`);
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
  return child;
}

/** Starts `program` on a free port. */
export async function serve(program: Program): Promise<TestServer> {
  let port = freePort();
  let child = await launch(program, port).catch(() => {
    port = freePort();
    return launch(program, port);
  });
  const stop = async () => {
    child.kill(program.stopSignal);
    await within(child.exited, STOP_TIMEOUT_MS).catch(() => child.kill("SIGKILL"));
    await child.exited;
  };
  return {
    url: program.url(port),
    port,
    get pid() {
      return child.pid;
    },
    stop,
    async crash() {
      child.kill("SIGKILL");
      await child.exited;
    },
    async restart() {
      child = await launch(program, port);
    },
    [Symbol.asyncDispose]: stop,
  };
}

async function postgresPrograms(): Promise<string> {
  const onPath = Bun.which("initdb");
  // Its own folder, where the other programs are too, and not one of links to some of them.
  if (onPath !== null) return join(await realpath(onPath), "..");
  for (const parent of ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"]) {
    const versions = (await readdir(parent).catch(() => [])).filter((name) => /^(postgresql.*|\d+)$/.test(name));
    versions.sort((a, b) => Number(b.replace(/\D/g, "")) - Number(a.replace(/\D/g, "")));
    for (const version of versions) {
      const folder = join(parent, version, "bin");
      if (await Bun.file(join(folder, "initdb")).exists()) return folder;
    }
  }
  throw new Error("Postgres is not installed: ./dev test installs it.");
}

const POSTGRES_SETTINGS = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  max_connections: "200",
  // The tests kill the server's process, not the machine's power: what the kernel holds survives.
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
};

/** An empty Postgres in `folder`, which is made. `settings` are added to or replace ours. */
export async function startPostgres(folder: string, settings: Record<string, string> = {}): Promise<TestServer> {
  const programs = await postgresPrograms();
  // Only the last one is Postgres' own: whoever it runs as has to pass through those above.
  await mkdir(dirname(folder), { recursive: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if (ROOT && LINUX) await chown(folder, NOBODY, NOBODY);
  const data = join(folder, "data");
  const init = ["initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"];
  const [initdb = "initdb", ...initArgs] = init;
  const made = Bun.spawnSync(wrapped([join(programs, initdb), ...initArgs], true), { cwd: folder });
  if (made.exitCode !== 0) throw new Error(`initdb failed:\n${made.stderr.toString().trim()}`);
  const options = Object.entries({ ...POSTGRES_SETTINGS, ...settings }).flatMap(([key, value]) => [
    "-c",
    `${key}=${value}`,
  ]);
  return await serve({
    name: "Postgres",
    // SIGQUIT ends it without a checkpoint; the files are thrown away anyway. SIGINT for a stop that may be restarted.
    argv: (port) => wrapped([join(programs, "postgres"), "-D", data, "-p", `${port}`, ...options], true, "QUIT"),
    url: (port) => `postgres://postgres@127.0.0.1:${port}/postgres`,
    readyLine: "database system is ready to accept connections",
    stopSignal: "SIGINT",
  });
}

/** A hot standby of a running Postgres, in `folder`, which is made. */
export async function startStandby(folder: string, primary: TestServer): Promise<TestServer> {
  const programs = await postgresPrograms();
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if (ROOT && LINUX) await chown(folder, NOBODY, NOBODY);
  const data = join(folder, "data");
  const from = ["-h", "127.0.0.1", "-p", `${primary.port}`, "-U", "postgres"];
  const backup = [join(programs, "pg_basebackup"), ...from, "-D", data, "-R", "-c", "fast", "-N"];
  const copied = Bun.spawnSync(wrapped(backup, true), { cwd: folder });
  if (copied.exitCode !== 0) throw new Error(`pg_basebackup failed:\n${copied.stderr.toString().trim()}`);
  const options = Object.entries(POSTGRES_SETTINGS).flatMap(([key, value]) => ["-c", `${key}=${value}`]);
  return await serve({
    name: "Postgres (standby)",
    argv: (port) => wrapped([join(programs, "postgres"), "-D", data, "-p", `${port}`, ...options], true, "QUIT"),
    url: (port) => `postgres://postgres@127.0.0.1:${port}/postgres`,
    readyLine: "database system is ready to accept read-only connections",
    stopSignal: "SIGINT",
  });
}

/** PgBouncer in transaction mode in front of a Postgres on this machine; its URL is without a database. */
export async function startPgBouncer(
  folder: string,
  { postgresPort, poolSize }: { readonly postgresPort: number; readonly poolSize: number },
): Promise<TestServer> {
  if (ROOT && LINUX) await chown(folder, NOBODY, NOBODY);
  const file = join(folder, "pgbouncer.ini");
  const program = Bun.which("pgbouncer") ?? "/usr/sbin/pgbouncer";
  return await serve({
    name: "PgBouncer",
    argv: (port) => {
      const settings = {
        ...{ listen_addr: "127.0.0.1", listen_port: port, unix_socket_dir: "", auth_type: "any" },
        ...{ pool_mode: "transaction", default_pool_size: poolSize, max_client_conn: 200 },
      };
      const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
      const database = `* = host=127.0.0.1 port=${postgresPort} user=postgres`;
      writeFileSync(file, ["[databases]", database, "[pgbouncer]", ...lines, ""].join("\n"), { mode: 0o644 });
      return wrapped([program, file], true);
    },
    url: (port) => `postgres://postgres@127.0.0.1:${port}`,
    readyLine: "process up",
    stopSignal: "SIGINT",
  });
}

/**
 * An empty Redis with its folder in `folder`, which is made; it saves nothing unless `args` say so. `tls`: it speaks
 * nothing else.
 */
export async function startRedis(
  folder: string,
  args: readonly string[] = [],
  { tls = false }: { readonly tls?: boolean } = {},
): Promise<TestServer> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const fixed = ["--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "no", "--daemonize", "no"];
  const portArgs = (port: number): string[] => (tls ? ["--port", "0", "--tls-port", `${port}`] : ["--port", `${port}`]);
  return await serve({
    name: "Redis",
    argv: (port) => wrapped(["redis-server", ...portArgs(port), ...fixed, ...args], false),
    url: (port) => `${tls ? "rediss" : "redis"}://127.0.0.1:${port}`,
    readyLine: "Ready to accept connections",
    stopSignal: "SIGTERM",
  });
}

/** A sentinel that watches the master on a port of this machine under the name `main`. */
export async function startSentinel(
  folder: string,
  { master, quorum }: { readonly master: number; readonly quorum: number },
): Promise<TestServer> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, "sentinel.conf");
  const watched = `sentinel monitor main 127.0.0.1 ${master} ${quorum}`;
  const timing = ["down-after-milliseconds main 1000", "failover-timeout main 3000"].map((line) => `sentinel ${line}`);
  await Bun.write(file, [watched, ...timing, `dir ${folder}`, "bind 127.0.0.1"].join("\n"));
  return await serve({
    name: "Redis Sentinel",
    argv: (port) => wrapped(["redis-server", file, "--sentinel", "--port", `${port}`], false),
    url: (port) => `redis://127.0.0.1:${port}`,
    readyLine: "+monitor master main",
    stopSignal: "SIGTERM",
  });
}

export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
}
