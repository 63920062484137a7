import { serve } from "../boot/serve.ts";
import { configFor, loggerFor } from "./config.ts";
import type { CommandContext } from "./context.ts";

export async function serveCommand(context: CommandContext, options: { role?: string }): Promise<void> {
  const config = configFor(options.role === undefined ? {} : { role: options.role });
  const logger = loggerFor(config);
  const server = await serve(config, logger);
  if (server.adminKeyPath !== null) {
    logger.info({ path: server.adminKeyPath }, "made the first admin key; it lies in this file");
  }
  logger.info({ url: server.url, profile: config.profile }, "listening");
  const stop = new Promise<void>((resolve) => {
    if (context.signal.aborted) resolve();
    context.signal.addEventListener("abort", () => resolve(), { once: true });
  });
  try {
    await Promise.race([stop, server.ended]);
  } finally {
    await server.drain();
  }
}
