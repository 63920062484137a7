/**
 * A reader who copies a document's blocks, one after the other, into a shell in an empty folder. What a block sets is there
 * in the next; a server that a block starts stays until the document says to end it.
 */
import { closeSync, openSync } from "node:fs";
import { chmod, mkdir, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { findPackager } from "../../src/ffmpeg/packager.ts";
import { afterFile } from "../support/cleanup.ts";
import { testEnv } from "../support/env.ts";
import { giveCapabilities, keepCapabilities } from "../support/known-capabilities.ts";
import { createDatabase } from "../support/postgres.ts";
import { isReady, PROGRAM } from "../support/server.ts";
import { freePort } from "../support/servers.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { until, within } from "../support/until.ts";
import { type Block, documentBlocks, ROOT, where } from "./blocks.ts";

const BLOCK_TIMEOUT_MS = 90_000;
const READY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 30_000;
/** What documents call the places that a reader has, and a test has elsewhere. */
const DATABASE = "postgres://rendiff:secret@127.0.0.1:5432/rendiff";
const REDIS = "redis://127.0.0.1:6379";
const PORT = /\b80\d\d\b/g;

interface Server {
  readonly child: Bun.Subprocess;
  readonly log: string;
}

export interface Session {
  /** Runs a block; throws with all that is known when it does not do what its document says. */
  run(block: Block): Promise<void>;
  end(): Promise<void>;
  readonly folder: string;
}

const begin = (folder: string): string => `
set -euo pipefail
[ ! -f '${folder}/.session/variables' ] || . '${folder}/.session/variables'
cd "$(cat '${folder}/.session/folder')"
`;

/** Variables, functions and the folder are there in the next block. */
const shell = (folder: string, text: string): string => `${begin(folder)}
set -a
${text}
set +a
export -p | grep -v -E '^declare -x (OLDPWD|PWD|SHLVL|_)=' > '${folder}/.session/variables'
declare -f >> '${folder}/.session/variables' || true
pwd > '${folder}/.session/folder'
`;

/** Another terminal: what it sets stays there. A signal to end waits for what runs, so that a server's drain is over too. */
const terminal = (folder: string, text: string): string => `trap : TERM${begin(folder)}${text}`;

async function makeFolder(): Promise<string> {
  const folder = await makeTempDir("guide");
  await mkdir(join(folder, ".session/bin"), { recursive: true });
  await mkdir(join(folder, "dist"));
  const rendiff = join(folder, ".session/bin/rendiff");
  await Bun.write(rendiff, `#!/bin/sh\nexec ${PROGRAM.map((word) => `'${word}'`).join(" ")} "$@"\n`);
  await chmod(rendiff, 0o755);
  await symlink(rendiff, join(folder, "dist/rendiff"));
  // Of a checkout a reader needs no more than what is deployed with it.
  await symlink(join(ROOT, "deploy"), join(folder, "deploy"));
  await Bun.write(join(folder, ".session/folder"), folder);
  return folder;
}

/** The data folders of a document's servers, which would all try out the same. */
const dataFolders = (text: string): string[] => [
  "data",
  ...[...text.matchAll(/\bDATA_DIR=(?:\.\/)?([\w-]+)/g)].map(([, name = ""]) => name),
];

/** What is new in the environment of a reader: programs, a home, and defaults that a busy machine needs. */
function environmentOf(folder: string, port: number): Record<string, string> {
  const packager = findPackager(null);
  return {
    PATH: `${folder}/.session/bin:${dirname(process.execPath)}:${Bun.env.PATH ?? ""}`,
    ...{ HOME: folder, TMPDIR: Bun.env.TMPDIR ?? "/tmp", LANG: "C.UTF-8", API_PORT: `${port}` },
    ...{ DRAIN_DELAY: "0s", LOG_FORMAT: "json" },
    // Beside the sources it is found; a compiled binary needs one that is installed.
    ...(packager === null ? {} : { PACKAGER_PATH: packager }),
  };
}

/** Every value of the example is there in the answer, with the same type; lists are held against their first item. */
function differences(example: unknown, answer: unknown, path = "answer"): string[] {
  if (example === null || answer === null) return [];
  if (Array.isArray(example)) {
    if (!Array.isArray(answer)) return [`${path} is no list`];
    return example.length === 0 || answer.length === 0 ? [] : differences(example[0], answer[0], `${path}[0]`);
  }
  if (typeof example === "object") {
    if (typeof answer !== "object") return [`${path} is no object`];
    const fields = answer as Record<string, unknown>;
    return Object.entries(example).flatMap(([name, value]) =>
      name in fields ? differences(value, fields[name], `${path}.${name}`) : [`${path}.${name} is missing`],
    );
  }
  return typeof example === typeof answer ? [] : [`${path} is a ${typeof answer}`];
}

const pattern = (line: string): RegExp =>
  new RegExp(
    line
      .trim()
      .split("…")
      .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
      .join(".*"),
  );

function checkOutput(block: Block, printed: string): void {
  const lines = printed.split("\n");
  let at = 0;
  for (const expected of block.text.split("\n").filter((line) => line.trim() !== "")) {
    const found = lines.findIndex((line, index) => index >= at && pattern(expected).test(line));
    if (found === -1) throw new Error(`${where(block)}: "${expected}" was not printed. What was:\n${printed}`);
    at = found + 1;
  }
}

function checkAnswer(block: Block, printed: string): void {
  const missing = differences(JSON.parse(block.text), JSON.parse(printed));
  if (missing.length > 0) throw new Error(`${where(block)}: ${missing.join(", ")}. The answer:\n${printed}`);
}

export async function openSession(): Promise<Session> {
  const folder = await makeFolder();
  await giveCapabilities(join(folder, "data"));
  const ports = new Map<string, number>();
  const portOf = (written: string): number => {
    const port = ports.get(written) ?? freePort();
    ports.set(written, port);
    return port;
  };
  const env = environmentOf(folder, portOf("8000"));
  const redisPrefix = `{test:${Bun.randomUUIDv7()}}:`;
  let database: string | null = null;
  let servers: Server[] = [];
  let printed = "";

  const localized = async (text: string): Promise<string> => {
    let local = text.replace(PORT, (written) => `${portOf(written)}`);
    if (local.includes(DATABASE)) {
      database ??= (await createDatabase()).url;
      local = local.replaceAll(DATABASE, database);
    }
    if (local.includes(REDIS)) {
      env.REDIS_PREFIX = redisPrefix;
      local = local.replaceAll(REDIS, testEnv().redisUrl);
    }
    return local;
  };
  const logs = async (): Promise<string> =>
    (await Promise.all(servers.map(async ({ log }) => (await Bun.file(log).text()).split("\n").slice(-15).join("\n"))))
      .map((log) => `\nA server's log ends with:\n${log}`)
      .join("");

  const end = async (): Promise<void> => {
    const ending = servers;
    servers = [];
    for (const { child } of ending) signalGroup(child.pid, "SIGTERM");
    for (const { child } of ending) {
      await within(child.exited, STOP_TIMEOUT_MS, "a server to end").finally(() => signalGroup(child.pid, "SIGKILL"));
    }
  };
  afterFile(end);

  const serve = async (block: Block, text: string): Promise<void> => {
    const log = join(folder, `.session/server-${servers.length}-${block.line}.log`);
    const sink = openSync(log, "a");
    const child = Bun.spawn(["bash", "-c", terminal(folder, text)], {
      ...{ cwd: folder, env, stdin: "ignore", stdout: sink, stderr: sink, detached: true },
    });
    closeSync(sink);
    servers.push({ child, log });
    const url = `http://127.0.0.1:${portOf(block.words.serve || "8000")}`;
    const over = () => child.exitCode !== null;
    await until(() => over() || isReady(url), { timeoutMs: READY_TIMEOUT_MS, intervalMs: 30, what: "the server" });
    if (over()) throw new Error(`The server ended with ${child.exitCode}.`);
    for (const name of dataFolders(text)) await keepCapabilities(join(folder, name));
  };

  const execute = async (argv: readonly string[], expected: number): Promise<void> => {
    const child = Bun.spawn([...argv], {
      ...{ cwd: folder, env, stdin: "ignore", stdout: "pipe", stderr: "pipe", detached: true },
    });
    try {
      const all = Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited]);
      const [stdout, stderr, code] = await within(all, BLOCK_TIMEOUT_MS, "the block to end");
      printed = stdout;
      if (code !== expected) throw new Error(`It ended with ${code}, not ${expected}.\n${stdout}${stderr}`);
    } finally {
      signalGroup(child.pid, "SIGKILL");
    }
  };

  const runProgram = async (block: Block, text: string): Promise<void> => {
    const file = join(folder, `.session/example-${block.line}.${block.language === "ts" ? "ts" : "py"}`);
    await Bun.write(file, text);
    const program = block.language === "ts" ? `'${process.execPath}' --no-env-file '${file}'` : `python3 '${file}'`;
    await execute(["bash", "-c", shell(folder, program)], Number(block.words.fails ?? 0));
  };

  const run = async (block: Block): Promise<void> => {
    const { words, language } = block;
    if ("no-run" in words) return;
    if ("stop" in words) await end();
    for (const name of dataFolders(block.text).slice(1)) {
      await giveCapabilities(join(folder, name));
    }
    const text = await localized(block.text);
    if (words.file !== undefined) await Bun.write(join(folder, words.file), text);
    else if ("answer" in words) checkAnswer(block, printed);
    else if ("output" in words) checkOutput(block, printed);
    else if ("serve" in words) await serve(block, text);
    else if (language === "sh") await execute(["bash", "-c", shell(folder, text)], Number(words.fails ?? 0));
    else if (language === "ts" || language === "python") await runProgram(block, text);
    else if (language === "json") JSON.parse(text);
  };

  return {
    folder,
    end,
    run: async (block) => {
      try {
        await run(block);
      } catch (cause) {
        const message = cause instanceof Error ? cause.message : String(cause);
        throw new Error(`${where(block)} does not work:\n${block.text}\n${message}${await logs()}`, { cause });
      }
    },
  };
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // It is over.
  }
}

/** All blocks of a document, in order, by one reader. */
export async function followDocument(document: string): Promise<void> {
  const session = await openSession();
  for (const block of await documentBlocks(document)) await session.run(block);
  await session.end();
}

export const FOLLOW_TIMEOUT_MS = 240_000;
