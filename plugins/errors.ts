/**
 * Every error as one shape, whatever it is and wherever it comes from: an unknown route, malformed JSON, a refused key
 * or a bug. The only place that knows HTTP's status numbers for errors.
 */
import { Elysia, NotFoundError } from "elysia";
import { z } from "zod";
import { type ErrorKind, RendiffError, toRendiffError } from "../src/errors.ts";
import type { HttpContext } from "./context.ts";
import { stateOf } from "./state.ts";

export const ERROR_CODES = [
  "VALIDATION_ERROR",
  "AUTH_ERROR",
  "AUTHZ_ERROR",
  "NOT_FOUND",
  "CONFLICT",
  "PAYLOAD_TOO_LARGE",
  "UNSUPPORTED",
  "IDEMPOTENCY_MISMATCH",
  "RATE_LIMIT_ERROR",
  "QUOTA_EXCEEDED",
  "STORAGE_ERROR",
  "UNAVAILABLE",
  "INTERNAL_ERROR",
] as const;
export type ErrorCode = (typeof ERROR_CODES)[number];

interface HttpError {
  readonly code: ErrorCode;
  readonly status: number;
}

const VALIDATION: HttpError = { code: "VALIDATION_ERROR", status: 400 };
const UNSUPPORTED: HttpError = { code: "UNSUPPORTED", status: 422 };
const STORAGE: HttpError = { code: "STORAGE_ERROR", status: 502 };
const UNAVAILABLE: HttpError = { code: "UNAVAILABLE", status: 503 };
const INTERNAL: HttpError = { code: "INTERNAL_ERROR", status: 500 };
const CONFLICT: HttpError = { code: "CONFLICT", status: 409 };

/** Job errors reach a client here too: `/probe` and `?dry_run` meet them before there is a job. */
export const HTTP_ERRORS: Readonly<Record<ErrorKind, HttpError>> = {
  "request.invalid": VALIDATION,
  "request.too_large": { code: "PAYLOAD_TOO_LARGE", status: 413 },
  "request.not_found": { code: "NOT_FOUND", status: 404 },
  "request.conflict": CONFLICT,
  "request.unsupported": UNSUPPORTED,
  "request.idempotency_mismatch": { code: "IDEMPOTENCY_MISMATCH", status: 422 },
  "request.rate_limited": { code: "RATE_LIMIT_ERROR", status: 429 },
  "request.quota_exceeded": { code: "QUOTA_EXCEEDED", status: 429 },
  "auth.missing": { code: "AUTH_ERROR", status: 401 },
  "auth.invalid": { code: "AUTH_ERROR", status: 401 },
  "auth.forbidden": { code: "AUTHZ_ERROR", status: 403 },
  "service.unavailable": UNAVAILABLE,
  internal: INTERNAL,
  "input.not_found": VALIDATION,
  "input.unreadable": VALIDATION,
  "input.unsupported": UNSUPPORTED,
  "input.changed": CONFLICT,
  "input.too_large": VALIDATION,
  "output.exists": CONFLICT,
  "output.conflict": CONFLICT,
  "output.invalid": INTERNAL,
  "limit.exceeded": VALIDATION,
  "plan.invalid": VALIDATION,
  "plan.unsupported": UNSUPPORTED,
  "ffmpeg.failed": VALIDATION,
  "ffmpeg.stalled": UNAVAILABLE,
  "ffmpeg.killed": UNAVAILABLE,
  "resource.memory": UNAVAILABLE,
  "resource.disk": UNAVAILABLE,
  "storage.denied": STORAGE,
  "storage.unavailable": STORAGE,
  "storage.corrupt": STORAGE,
  "database.unavailable": UNAVAILABLE,
  "database.timeout": UNAVAILABLE,
  "database.conflict": CONFLICT,
  "job.timeout": UNAVAILABLE,
  "job.poisoned": INTERNAL,
  "job.publish_timeout": STORAGE,
  "worker.draining": UNAVAILABLE,
};

const RETRY_AFTER_SECONDS_DEFAULT = 5;

export const errorAnswerSchema = z.strictObject({
  error: z.strictObject({
    code: z.enum(ERROR_CODES),
    message: z.string().describe("One readable sentence."),
    details: z.array(
      z.strictObject({
        path: z.string().describe("Where in the request, as in operations[0].crf."),
        message: z.string(),
      }),
    ),
    request_id: z.string(),
  }),
});

/** What Elysia itself throws, as ours; anything else that is not a RendiffError is a bug. */
function translate(thrown: unknown): RendiffError {
  if (thrown instanceof NotFoundError) {
    return new RendiffError({ kind: "request.not_found", publicMessage: "There is nothing at this address." });
  }
  return toRendiffError(thrown);
}

export function errorBody(error: RendiffError, requestId: string): object {
  const { code } = HTTP_ERRORS[error.kind];
  // Whatever a bug has to say stays in the log.
  const message = error.kind === "internal" ? "An internal error occurred." : error.publicMessage;
  const details = error.kind === "internal" ? [] : error.details;
  return { error: { code, message, details, request_id: requestId } };
}

export function errorResponse(error: RendiffError, requestId: string): Response {
  const { status } = HTTP_ERRORS[error.kind];
  const headers: Record<string, string> = {};
  if (status === 429 || status === 503) {
    headers["retry-after"] = String(error.retryAfterSeconds ?? RETRY_AFTER_SECONDS_DEFAULT);
  } else if (error.retryAfterSeconds !== null) headers["retry-after"] = String(error.retryAfterSeconds);
  if (status === 401) headers["www-authenticate"] = 'Bearer realm="rendiff"';
  return Response.json(errorBody(error, requestId), { status, headers });
}

/** In the shape of all errors, under a status that a protocol of others asks for. */
export function refusal(status: number, code: ErrorCode, message: string, requestId: string): Response {
  return Response.json({ error: { code, message, details: [], request_id: requestId } }, { status });
}

/** The answer to whatever was thrown; what is our fault goes to the log with the request's id. */
export function answerThrown(context: HttpContext, request: Request, thrown: unknown): Response {
  const error = translate(thrown);
  const { requestId, rule } = stateOf(request);
  if (HTTP_ERRORS[error.kind].status >= 500) {
    const fields = { request_id: requestId, route: rule?.id ?? null, kind: error.kind, err: error.cause ?? error };
    if (error.kind === "internal") context.logger.error(fields, "a request failed");
    else context.logger.warn(fields, "a request could not be served");
  }
  return errorResponse(error, requestId);
}

export const errors = (context: HttpContext) =>
  new Elysia({ name: "errors" }).onError({ as: "global" }, (event) =>
    answerThrown(context, event.request, event.error),
  );
