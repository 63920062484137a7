/** The product as it is run: a server process in a folder of its own, and a client of its API. */
import { closeSync, openSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "../../test/support/servers.ts";
import { within } from "../../test/support/until.ts";
import { programs } from "./programs.ts";

const READY_TIMEOUT_MS = 60_000;
const READY_INTERVAL_MS = 2;
const STOP_TIMEOUT_MS = 15_000;
/** Any text of 16 characters or more is an admin's key. */
export const ADMIN_KEY = "bench-admin-key-0123456789";

export interface Subject extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** The root of `local://`. */
  readonly storage: string;
  readonly log: string;
  /** From the start of the process to the first 200 of /health/ready. */
  readonly readyMs: number;
}

export interface SubjectOptions {
  /** Made if missing; a server started there again is warm. */
  readonly folder: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Words in front of the program, such as what pins it to a processor. */
  readonly under?: readonly string[];
}

async function untilReady(url: string, exited: () => boolean): Promise<void> {
  const deadline = performance.now() + READY_TIMEOUT_MS;
  while (performance.now() < deadline) {
    if (exited()) throw new Error("it ended");
    const response = await fetch(`${url}/health/ready`).catch(() => null);
    if (response?.ok === true) return;
    await Bun.sleep(READY_INTERVAL_MS);
  }
  throw new Error(`it was not ready within ${READY_TIMEOUT_MS} ms`);
}

export async function startSubject({ folder, env = {}, under = [] }: SubjectOptions): Promise<Subject> {
  const storage = join(folder, "storage");
  await mkdir(storage, { recursive: true });
  const port = freePort();
  const log = join(folder, "server.log");
  const sink = openSync(log, "a");
  const startedAt = performance.now();
  // The working folder is its own: a .env file of the checkout does not count.
  const server = Bun.spawn([...under, programs.rendiff, "serve"], {
    cwd: folder,
    env: {
      PATH: Bun.env.PATH ?? "",
      TMPDIR: Bun.env.TMPDIR ?? "/tmp",
      RENDIFF_ENV: "test",
      DATA_DIR: folder,
      API_HOST: "127.0.0.1",
      API_PORT: `${port}`,
      ADMIN_API_KEYS: ADMIN_KEY,
      RATE_LIMIT: "100000000/min",
      ADDRESS_RATE_LIMIT: "100000000/min",
      LOG_FORMAT: "json",
      LOG_LEVEL: "warn",
      DRAIN_DELAY: "0s",
      DRAIN_TIMEOUT: "5s",
      ...env,
    },
    stdin: "ignore",
    stdout: sink,
    stderr: sink,
  });
  closeSync(sink);
  const url = `http://127.0.0.1:${port}`;
  const stop = async (): Promise<void> => {
    server.kill("SIGTERM");
    await within(server.exited, STOP_TIMEOUT_MS).catch(() => server.kill("SIGKILL"));
    await server.exited;
  };
  try {
    await untilReady(url, () => server.exitCode !== null);
  } catch (cause) {
    await stop();
    const tail = (await Bun.file(log).text()).slice(-3_000);
    throw new Error(`The server did not start; its log ends with:\n${tail}`, { cause });
  }
  const readyMs = performance.now() - startedAt;
  return { url, port, pid: server.pid, storage, log, readyMs, [Symbol.asyncDispose]: stop };
}
