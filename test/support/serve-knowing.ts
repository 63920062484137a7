/** A server in this process that need not find out what FFmpeg can do. Apart from the rest: it loads the whole server. */
import { type Server, serve } from "../../src/boot/serve.ts";
import type { Config } from "../../src/config/config.ts";
import type { Logger } from "../../src/telemetry/logger.ts";
import { giveCapabilities, keepCapabilities } from "./known-capabilities.ts";

export async function serveKnowing(config: Config, logger: Logger): Promise<Server> {
  const { dataDir } = config.process;
  await giveCapabilities(dataDir);
  const server = await serve(config, logger);
  await keepCapabilities(dataDir);
  return server;
}
