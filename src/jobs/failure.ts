/** A failed job's error as it is stored and shown, from what was thrown. */
import { JOB_ERROR_KINDS, type RendiffError } from "../errors.ts";
import type { JobFailure } from "./types.ts";

const isJobKind = (kind: string): kind is JobFailure["kind"] =>
  kind === "internal" || (JOB_ERROR_KINDS as readonly string[]).includes(kind);

export function toFailure(error: RendiffError): JobFailure {
  const message = [error.publicMessage, ...error.details.map(({ path, message }) => `${path}: ${message}`)].join(" ");
  return {
    // What a request would have been refused for can still turn up in an attempt, after an upgrade.
    kind: isJobKind(error.kind) ? error.kind : "plan.unsupported",
    message,
    retryable: error.retry === "backoff",
    evidence: error.evidence,
    hint: error.hint,
  };
}
