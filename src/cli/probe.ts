import { resolve } from "node:path";
import { openMedia } from "../boot/media-tools.ts";
import { configFor, quietLoggerFor } from "./config.ts";
import type { CommandContext } from "./context.ts";

export async function probeCommand(context: CommandContext, file: string): Promise<void> {
  const config = configFor();
  const media = await openMedia(config, quietLoggerFor(config));
  const info = await media.probe(resolve(file), "media", context.signal);
  context.out(JSON.stringify(info, null, 2));
}
