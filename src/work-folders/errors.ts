import { RendiffError } from "../errors.ts";

const FULL = new Set(["ENOSPC", "EDQUOT"]);

/** What the disk of the work folders says, in the domain's words: another worker, or later, may have more luck. */
export function toResourceError(error: unknown): unknown {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (FULL.has(code)) {
    return new RendiffError({
      kind: "resource.disk",
      retry: "backoff",
      publicMessage: "The worker's disk is full.",
      cause: error,
    });
  }
  return error;
}
