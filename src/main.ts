/** Commands and signals: the first line that runs, and the only place that listens to the process. */
import { CommanderError } from "commander";
import { type CommandContext, CommandFailed, EXIT_FAILED } from "./cli/context.ts";
import { describeFailure } from "./cli/describe-failure.ts";
import { makeProgram } from "./cli/program.ts";
import { CONFIG_EXIT_CODE, ConfigError } from "./config/config-error.ts";
import { toRendiffError } from "./errors.ts";

const USAGE_EXIT_CODE = 64;

const stopping = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    // The second one is meant: whatever is left is cleaned up at the next start.
    if (stopping.signal.aborted) process.exit(130);
    stopping.abort();
  });
}
process.on("unhandledRejection", (error) => {
  process.stderr.write(`unhandled rejection: ${error instanceof Error ? error.stack : String(error)}\n`);
});

/** A pipe takes 64 KiB at a time: all must be out before the end. A reader that has left ends it with an error. */
let printed: Promise<unknown> = Promise.resolve();

const context: CommandContext = {
  out: (text) => {
    printed = printed.then(() => Bun.write(Bun.stdout, `${text}\n`)).catch(() => {});
  },
  err: (text) => void process.stderr.write(`${text}\n`),
  isTerminal: process.stderr.isTTY === true,
  signal: stopping.signal,
};

function exitCodeFor(error: unknown): number {
  if (error instanceof CommandFailed) return error.exitCode;
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE_EXIT_CODE;
  if (error instanceof ConfigError) {
    context.err(error.message);
    return CONFIG_EXIT_CODE;
  }
  const known = toRendiffError(error);
  context.err(describeFailure(known));
  if (known.kind === "internal" && known.cause instanceof Error) context.err(known.cause.stack ?? known.cause.message);
  return EXIT_FAILED;
}

let exitCode = 0;
try {
  await makeProgram(context).parseAsync(process.argv);
} catch (error) {
  exitCode = exitCodeFor(error);
}
await printed;
process.exit(exitCode);
