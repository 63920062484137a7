/** Loaded by bun before each test file (bunfig.toml). */
import { afterAll } from "bun:test";
import { cleanUp } from "./cleanup.ts";
import { descendantsOf } from "./processes.ts";
import { until } from "./until.ts";

const GRACE_MS = 2_000;
/** Dropping a file's databases takes a while on a busy machine. */
const CLEAN_UP_MS = 60_000;

/** A file that leaves a process running fails by name; the next file starts with none. */
async function endChildren(): Promise<void> {
  const children = () => descendantsOf(process.pid);
  await until(() => children().length === 0, { timeoutMs: GRACE_MS }).catch(() => {});
  const left = children();
  for (const { pid } of left) process.kill(pid, "SIGKILL");
  if (left.length > 0) {
    throw new Error(
      `Left running by this file: ${left.map(({ pid, commandLine }) => `${pid} ${commandLine}`).join("; ")}`,
    );
  }
}

afterAll(async () => {
  await cleanUp();
  await endChildren();
}, CLEAN_UP_MS);
