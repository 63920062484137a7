/** Where FFmpeg and ffprobe are. */
import { accessSync, constants, realpathSync, statSync } from "node:fs";
import { isAbsolute } from "node:path";
import { RendiffError } from "../errors.ts";

export interface MediaTools {
  /** Absolute. */
  readonly ffmpegPath: string;
  readonly ffprobePath: string;
}

export interface MediaToolSettings {
  /** Absolute; null: looked for on PATH. */
  readonly ffmpegPath: string | null;
  readonly ffprobePath: string | null;
}

const HOW_TO_INSTALL =
  process.platform === "darwin"
    ? "brew install ffmpeg"
    : "apt-get install ffmpeg (Debian), dnf install ffmpeg (Fedora)";

export function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return isAbsolute(path) && statSync(path).isFile();
  } catch {
    return false;
  }
}

export function findProgram(name: string, setting: string, configured: string | null): string {
  const path = configured ?? Bun.which(name);
  // Links are resolved: what runs is then what was looked at, and a sandbox shows the file itself.
  if (path !== null && isProgram(path)) return realpathSync(path);
  const problem =
    configured === null
      ? `${name} is not on PATH; install it or set ${setting} to its absolute path.`
      : `${setting} does not name an executable file by its absolute path.`;
  throw new RendiffError({ kind: "service.unavailable", publicMessage: problem, hint: HOW_TO_INSTALL });
}

/** Throws `service.unavailable`, naming the setting and how to install, when one of them is missing. */
export async function findTools(settings: MediaToolSettings): Promise<MediaTools> {
  return {
    ffmpegPath: findProgram("ffmpeg", "FFMPEG_PATH", settings.ffmpegPath),
    ffprobePath: findProgram("ffprobe", "FFPROBE_PATH", settings.ffprobePath),
  };
}
