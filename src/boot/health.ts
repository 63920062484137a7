/** What `/health` looks at in this process. */
import type { HealthCheck } from "../../plugins/context.ts";
import type { Coordination } from "../coordination/ports.ts";
import type { Sql } from "../database/sql.ts";
import { RendiffError } from "../errors.ts";
import { queueStats } from "../jobs/ready.ts";
import type { StorageBackend, StorageRegistry } from "../storage/port.ts";
import type { Media } from "./media-tools.ts";

export interface HealthParts {
  readonly sql: Sql;
  readonly storage: StorageRegistry;
  /** Null where no jobs run. */
  readonly media: Media | null;
  readonly coordination: Coordination;
  readonly liveWorkers: () => number;
  readonly storeTimeoutMs?: number;
}

/** Below it the next jobs will wait for space. */
const FREE_BYTES_LOW = 1024 ** 3;
const WAIT_SECONDS_LONG = 3_600;

/** No object of ours: that a store says so proves that it answers and knows us. The first part may be taken for a bucket. */
const NO_OBJECT = "rendiff-health/none";

/** Sooner than the check itself is late: a store that hangs is a remark, while a check that does makes the server unhealthy. */
const STORE_TIMEOUT_MS = 1_000;

/** A store elsewhere that is away concerns its own jobs only: it is remarked on, and the rest goes on. */
async function problemOf(backend: StorageBackend, signal: AbortSignal): Promise<string | null> {
  // The web is no one store: there is nobody to ask how it is.
  if (backend.properties.type === "http") return null;
  if (backend.properties.inPlace) {
    const freeBytes = await backend.freeBytes();
    return freeBytes !== null && freeBytes < FREE_BYTES_LOW ? `${backend.name} is nearly full` : null;
  }
  try {
    await backend.stat(NO_OBJECT, signal);
    return null;
  } catch (error) {
    const isDenied = error instanceof RendiffError && error.kind === "storage.denied";
    return `${backend.name} ${isDenied ? "denies access" : "does not answer"}`;
  }
}

export function makeHealthChecks({
  sql,
  storage,
  media,
  coordination,
  liveWorkers,
  storeTimeoutMs = STORE_TIMEOUT_MS,
}: HealthParts): readonly HealthCheck[] {
  return [
    {
      name: "database",
      vital: true,
      async run() {
        await sql.query("SELECT 1");
        if (sql.durability === "fsync") return null;
        return "embedded: survives a crash of the process, but perhaps not a power failure";
      },
    },
    {
      name: "redis",
      vital: false,
      async run() {
        await coordination.ping();
        return coordination.kind === "redis" ? null : "in process: one server, no Redis";
      },
    },
    {
      name: "ffmpeg",
      vital: false,
      async run() {
        if (media === null) {
          if (liveWorkers() > 0) return "in the workers";
          throw new Error("No worker is alive.");
        }
        const { capabilities, runner } = media;
        const version = `FFmpeg ${capabilities.ffmpegVersion}`;
        return runner.sandbox.mode === "none" ? `${version}, without a sandbox: ${runner.sandbox.reason}` : version;
      },
    },
    {
      name: "storage",
      vital: true,
      async run(signal) {
        const patience = AbortSignal.any([signal, AbortSignal.timeout(storeTimeoutMs)]);
        const looks = storage.names.map((name) => problemOf(storage.backend(name), patience));
        const problems = (await Promise.all(looks)).filter((problem) => problem !== null);
        return problems.length === 0 ? null : problems.join("; ");
      },
    },
    {
      name: "queue",
      vital: false,
      async run() {
        const { byPriority } = await queueStats(sql);
        const waited = Math.max(...Object.values(byPriority).map(({ oldestWaitSeconds }) => oldestWaitSeconds));
        return waited > WAIT_SECONDS_LONG ? `a job has waited for ${Math.round(waited)} s` : null;
      },
    },
  ];
}
