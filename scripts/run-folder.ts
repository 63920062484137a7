/** The folder that a run keeps everything in, and the signal that ends it early. */
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { processesWith } from "../test/support/processes.ts";
import { killAll, RUN_PREFIX, sweepDeadRuns } from "./leftovers.ts";

export interface RunFolder extends AsyncDisposable {
  readonly path: string;
}

export async function makeRunFolder(): Promise<RunFolder> {
  await sweepDeadRuns();
  const path = await mkdtemp(join(tmpdir(), RUN_PREFIX));
  await writeFile(join(path, "pid"), `${process.pid}`);
  // Postgres runs as another user when we are root, and has to reach its folder.
  await chmod(path, 0o711);
  return {
    path,
    async [Symbol.asyncDispose]() {
      killAll(processesWith(path));
      await rm(path, { recursive: true, force: true });
    },
  };
}

/** Aborted by the first SIGINT, SIGTERM or SIGHUP, so that what was started is also ended. */
export function untilInterrupted(): AbortSignal {
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => controller.abort(name));
  return controller.signal;
}
