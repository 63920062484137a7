/**
 * The one error type of the domain.
 *
 * `kind` says what happened (a closed list, so that every table over it is exhaustive), `retry` whether trying again
 * can help. There is deliberately no `code` and no `status`: Elysia would act on both. `publicMessage` is the only text
 * a client ever sees; `cause` and `message` are for the log.
 */

export const REQUEST_ERROR_KINDS = [
  "request.invalid",
  "request.too_large",
  "request.not_found",
  "request.conflict",
  "request.unsupported",
  "request.idempotency_mismatch",
  "request.rate_limited",
  "request.quota_exceeded",
  "auth.missing",
  "auth.invalid",
  "auth.forbidden",
  "service.unavailable",
  "internal",
] as const;

/** How a job can fail; these reach clients as `error.kind` of a failed job. */
export const JOB_ERROR_KINDS = [
  "input.not_found",
  "input.unreadable",
  "input.unsupported",
  "input.changed",
  "input.too_large",
  "output.exists",
  "output.conflict",
  "output.invalid",
  "limit.exceeded",
  "plan.invalid",
  "plan.unsupported",
  "ffmpeg.failed",
  "ffmpeg.stalled",
  "ffmpeg.killed",
  "resource.memory",
  "resource.disk",
  "storage.denied",
  "storage.unavailable",
  "storage.corrupt",
  "database.unavailable",
  "database.timeout",
  "database.conflict",
  "job.timeout",
  "job.poisoned",
  "job.publish_timeout",
  "worker.draining",
] as const;

export type RequestErrorKind = (typeof REQUEST_ERROR_KINDS)[number];
export type JobErrorKind = (typeof JOB_ERROR_KINDS)[number];
export type ErrorKind = RequestErrorKind | JobErrorKind;
export const ERROR_KINDS: readonly ErrorKind[] = [...REQUEST_ERROR_KINDS, ...JOB_ERROR_KINDS];

/** `backoff` for what may pass (storage, disk, a lost worker); `never` for what will not (bad input, unsupported). */
export type Retry = "never" | "backoff";

export interface ErrorDetail {
  /** Where in the request, as a client writes it: `operations[0].crf`. */
  readonly path: string;
  readonly message: string;
}

export interface RendiffErrorInit {
  readonly kind: ErrorKind;
  readonly retry?: Retry;
  /** One readable sentence, free of local paths, host names, SQL and other tenants' data. */
  readonly publicMessage: string;
  readonly details?: readonly ErrorDetail[];
  /** The stderr line that proves it; already free of local paths. */
  readonly evidence?: string;
  /** What the user can change. */
  readonly hint?: string;
  /** For 429 and 503: when to come back. */
  readonly retryAfterSeconds?: number;
  readonly cause?: unknown;
}

export class RendiffError extends Error {
  override readonly name = "RendiffError";
  readonly kind: ErrorKind;
  readonly retry: Retry;
  readonly publicMessage: string;
  readonly details: readonly ErrorDetail[];
  readonly evidence: string | null;
  readonly hint: string | null;
  readonly retryAfterSeconds: number | null;

  constructor(init: RendiffErrorInit) {
    super(`${init.kind}: ${init.publicMessage}`, init.cause === undefined ? undefined : { cause: init.cause });
    this.kind = init.kind;
    this.retry = init.retry ?? "never";
    this.publicMessage = init.publicMessage;
    this.details = init.details ?? [];
    this.evidence = init.evidence ?? null;
    this.hint = init.hint ?? null;
    this.retryAfterSeconds = init.retryAfterSeconds ?? null;
  }
}

/** Anything thrown, as a RendiffError: what is not one of ours is `internal`, and its own text stays in `cause`. */
export function toRendiffError(thrown: unknown): RendiffError {
  if (thrown instanceof RendiffError) return thrown;
  return new RendiffError({ kind: "internal", publicMessage: "An internal error occurred.", cause: thrown });
}
