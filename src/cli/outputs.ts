import { verifyAllOutputs } from "../boot/outputs.ts";
import { configFor, quietLoggerFor } from "./config.ts";
import { type CommandContext, CommandFailed, EXIT_FAILED } from "./context.ts";

export interface VerifyOutputsOptions {
  readonly repair?: boolean;
  readonly json?: boolean;
}

/** Ends with 1 while the rows and the storage do not agree. */
export async function verifyOutputsCommand(context: CommandContext, options: VerifyOutputsOptions): Promise<void> {
  const config = configFor();
  let open = 0;
  const counts = await verifyAllOutputs(config, quietLoggerFor(config), {
    repair: options.repair === true,
    signal: context.signal,
    onFinding({ output: { jobId, ordinal, uri }, state, repaired }) {
      // A later job's output in its place is how things go.
      if (state === "replaced") return;
      if (!repaired) open += 1;
      if (options.json !== true)
        context.out(`${state.padEnd(8)} ${repaired ? "repaired" : "-".padEnd(8)} ${jobId}/${ordinal} ${uri}`);
    },
  });
  if (options.json === true) context.out(JSON.stringify({ ...counts, open }));
  else
    context.out(
      Object.entries(counts)
        .map(([state, count]) => `${count} ${state}`)
        .join(", "),
    );
  if (open > 0) throw new CommandFailed(EXIT_FAILED);
}
