import { configFor } from "./config.ts";
import { type CommandContext, CommandFailed, EXIT_FAILED } from "./context.ts";

const TIMEOUT_MS = 5_000;

function addressOf(url: string | undefined): string {
  if (url !== undefined) return url.replace(/\/+$/, "");
  const { host, port } = configFor().http;
  // An address to listen on is not always one to connect to.
  const target = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "[::1]" : host.includes(":") ? `[${host}]` : host;
  return `http://${target}:${port}`;
}

export async function healthCommand(context: CommandContext, options: { url?: string }): Promise<void> {
  const address = addressOf(options.url);
  let ready = false;
  try {
    const answer = await fetch(`${address}/health/ready`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    ready = answer.ok;
    const health = await fetch(`${address}/health`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    context.out(await health.text());
  } catch {
    context.err(`No Rendiff answers at ${address}.`);
  }
  if (!ready) throw new CommandFailed(EXIT_FAILED);
}
