/** What `/health` looks at in this process. */
import type { HealthCheck } from "../../plugins/context.ts";
import type { Coordination } from "../coordination/ports.ts";
import type { Sql } from "../database/sql.ts";
import { queueStats } from "../jobs/ready.ts";
import type { StorageRegistry } from "../storage/port.ts";
import type { Media } from "./media-tools.ts";

export interface HealthParts {
  readonly sql: Sql;
  readonly storage: StorageRegistry;
  /** Null where no jobs run. */
  readonly media: Media | null;
  readonly coordination: Coordination;
  readonly liveWorkers: () => number;
}

/** Below it the next jobs will wait for space. */
const FREE_BYTES_LOW = 1024 ** 3;
const WAIT_SECONDS_LONG = 3_600;

export function makeHealthChecks({
  sql,
  storage,
  media,
  coordination,
  liveWorkers,
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
      async run() {
        for (const name of storage.names) {
          const freeBytes = await storage.backend(name).freeBytes();
          if (freeBytes !== null && freeBytes < FREE_BYTES_LOW) return `${name} is nearly full`;
        }
        return null;
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
