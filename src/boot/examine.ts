/** What works on this machine, for `rendiff doctor`: tried, not looked up. */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Config } from "../config/config.ts";
import { openPostgres } from "../database/postgres/open-postgres.ts";
import { type RendiffError, toRendiffError } from "../errors.ts";
import { openLocalBackend } from "../storage/local/local-backend.ts";
import type { Logger } from "../telemetry/logger.ts";
import { openMedia } from "./media-tools.ts";

export interface Finding {
  readonly what: string;
  /** `partly`: it works without, but less well or less safely. */
  readonly ok: "yes" | "partly" | "no";
  readonly detail: string;
  readonly remedy: string | null;
}

const failed = (what: string, error: RendiffError): Finding => ({
  what,
  ok: "no",
  detail: error.publicMessage,
  remedy: error.hint,
});

async function examineMedia(config: Config, logger: Logger): Promise<Finding[]> {
  try {
    const { capabilities, runner } = await openMedia(config, logger);
    const missing = Object.entries(capabilities.encoders).filter(([, ability]) => !ability.ok);
    const accelerators = Object.entries(capabilities.accelerators);
    const usable = accelerators.filter(([, ability]) => ability.ok).map(([name]) => name);
    const sandboxed = runner.sandbox.mode === "bubblewrap";
    return [
      { what: "FFmpeg", ok: "yes", detail: capabilities.ffmpegVersion, remedy: null },
      { what: "ffprobe", ok: "yes", detail: capabilities.ffprobeVersion, remedy: null },
      {
        what: "encoders",
        ok: missing.length === 0 ? "yes" : "partly",
        detail: `${Object.keys(capabilities.encoders).length - missing.length} work`,
        remedy:
          missing.length === 0
            ? null
            : `not usable here: ${missing.map(([name]) => name).join(", ")}; another build of FFmpeg may have them (FFMPEG_PATH)`,
      },
      {
        what: "hardware encoders",
        ok: usable.length > 0 ? "yes" : "partly",
        detail: usable.length > 0 ? usable.join(", ") : "none",
        remedy: null,
      },
      {
        what: "sandbox",
        ok: sandboxed ? "yes" : "partly",
        detail: sandboxed ? "bubblewrap, tested" : `none: ${runner.sandbox.reason}`,
        remedy: sandboxed ? null : "install bubblewrap (apt-get install bubblewrap); SANDBOX=required insists on it",
      },
    ];
  } catch (error) {
    return [failed("FFmpeg", toRendiffError(error))];
  }
}

async function examineFolder(what: string, path: string, setting: string): Promise<Finding> {
  const probe = join(path, `.rendiff-doctor-${process.pid}`);
  try {
    await mkdir(path, { recursive: true });
    await Bun.write(probe, "");
    await rm(probe);
    return { what, ok: "yes", detail: path, remedy: null };
  } catch {
    return { what, ok: "no", detail: `${path} cannot be written to`, remedy: `choose another with ${setting}` };
  }
}

async function examineStorage(config: Config): Promise<Finding> {
  try {
    const backend = await openLocalBackend({ name: "local", root: config.storage.path });
    const freeBytes = await backend.freeBytes();
    await backend.close();
    const free = freeBytes === null ? "" : `, ${Math.round(freeBytes / 1e9)} GB free`;
    return { what: "storage", ok: "yes", detail: `${config.storage.path}${free}`, remedy: null };
  } catch (error) {
    return failed("storage", toRendiffError(error));
  }
}

async function examineDatabase(config: Config, logger: Logger): Promise<Finding> {
  const { url, statementTimeoutMs } = config.database;
  if (url === null) {
    return { what: "database", ok: "yes", detail: "embedded, in DATA_DIR", remedy: null };
  }
  try {
    const sql = await openPostgres({ url, poolSize: 1, statementTimeoutMs, applicationName: "rendiff doctor", logger });
    await sql.close();
    return { what: "database", ok: "yes", detail: "Postgres answers", remedy: null };
  } catch (error) {
    return { ...failed("database", toRendiffError(error)), remedy: "check DATABASE_URL and that Postgres runs" };
  }
}

export async function examine(config: Config, logger: Logger): Promise<Finding[]> {
  return [
    ...(await examineMedia(config, logger)),
    await examineDatabase(config, logger),
    await examineFolder("data folder", config.process.dataDir, "DATA_DIR"),
    await examineStorage(config),
    await examineFolder("work folders", config.worker.tempDir, "TEMP_STORAGE"),
  ];
}
