/** Apart from the commands: what the first line of the program imports is loaded at each start. */
import type { RendiffError } from "../errors.ts";
import { toFailure } from "../jobs/failure.ts";

/** A failed job as a terminal shows it. */
export function describeFailure(error: RendiffError): string {
  const { message, evidence, hint } = toFailure(error);
  return [
    // Its own kind: a job has none for what the command line itself meets.
    `error: ${message} [${error.kind}]`,
    evidence === null ? null : `  ${evidence}`,
    hint === null ? null : `  hint: ${hint}`,
  ]
    .filter((line) => line !== null)
    .join("\n");
}
