import { verifyAudit } from "../security/audit.ts";
import { type CommandContext, CommandFailed, EXIT_FAILED } from "./context.ts";
import { withDatabase } from "./keys.ts";

/** Reads the whole audit log and ends with 1 where the chain does not hold. */
export async function verifyAuditCommand(context: CommandContext): Promise<void> {
  const verdict = await withDatabase(verifyAudit);
  if (verdict.ok) {
    context.out(`The audit log is whole: ${verdict.rows} entries.`);
    return;
  }
  const what = verdict.problem === "missing" ? "is missing" : "was changed";
  context.err(`The audit log does not hold: entry ${verdict.seq} ${what}.`);
  throw new CommandFailed(EXIT_FAILED);
}
