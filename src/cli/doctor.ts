import { examine } from "../boot/examine.ts";
import { configFor, quietLoggerFor } from "./config.ts";
import { type CommandContext, CommandFailed, EXIT_FAILED } from "./context.ts";

export async function doctorCommand(context: CommandContext): Promise<void> {
  const config = configFor();
  const findings = await examine(config, quietLoggerFor(config));
  for (const { ok, what, detail, remedy } of findings) {
    context.out(`${ok === "yes" ? "✓" : ok === "partly" ? "!" : "✗"} ${what}: ${detail}`);
    if (remedy !== null) context.out(`    ${remedy}`);
  }
  if (findings.some(({ ok }) => ok === "no")) throw new CommandFailed(EXIT_FAILED);
}
