/** What object stores answer, in the domain's words. Neither hosts nor credentials get into a public message. */
import { RendiffError } from "../../errors.ts";

const named = (key: string): string => JSON.stringify(key);

export const notFound = (key: string, cause?: unknown): RendiffError =>
  new RendiffError({ kind: "input.not_found", publicMessage: `There is no object ${named(key)}.`, cause });

export const changed = (key: string): RendiffError =>
  new RendiffError({ kind: "input.changed", publicMessage: `${named(key)} changed while it was read.` });

export const corrupt = (key: string, what: string): RendiffError =>
  new RendiffError({ kind: "storage.corrupt", publicMessage: `The storage ${what} ${named(key)}.` });

export const unavailable = (key: string, cause?: unknown): RendiffError =>
  new RendiffError({
    kind: "storage.unavailable",
    retry: "backoff",
    publicMessage: `The storage failed while working on ${named(key)}.`,
    cause,
  });

/** One status for all that may pass; 401 and 403 do not. */
export function fromStatus(status: number, key: string, cause: unknown): RendiffError {
  if (status === 404) return notFound(key, cause);
  if (status === 401 || status === 403) {
    return new RendiffError({
      kind: "storage.denied",
      publicMessage: `The storage denies access to ${named(key)}.`,
      cause,
    });
  }
  if (status === 412) {
    return new RendiffError({
      kind: "output.conflict",
      retry: "backoff",
      publicMessage: `The object ${named(key)} was changed by somebody else meanwhile.`,
      cause,
    });
  }
  if (status >= 400 && status < 500 && ![408, 409, 425, 429].includes(status)) {
    return new RendiffError({
      kind: "storage.denied",
      publicMessage: `The storage does not take the request for ${named(key)}.`,
      cause,
    });
  }
  return unavailable(key, cause);
}

export interface Dialect {
  /** The HTTP status that the SDK's error carries; null: it never got one (a reset, a timeout). */
  statusOf(error: unknown): number | null;
}

/** Runs `work` with its errors translated; the reason of an aborted signal stays what it is. */
export async function translated<T>(
  { statusOf }: Dialect,
  { key, signal }: { readonly key: string; readonly signal: AbortSignal | undefined },
  work: () => Promise<T>,
): Promise<T> {
  try {
    signal?.throwIfAborted();
    return await work();
  } catch (error) {
    if (signal?.aborted === true) throw signal.reason;
    if (error instanceof RendiffError) throw error;
    const status = statusOf(error);
    throw status === null ? unavailable(key, error) : fromStatus(status, key, error);
  }
}

/** `fallback` instead of the error when the store said one of these statuses. */
export async function orOn<T, F>(
  { statusOf }: Dialect,
  statuses: readonly number[],
  fallback: F,
  work: Promise<T>,
): Promise<T | F> {
  try {
    return await work;
  } catch (error) {
    if (statuses.includes(statusOf(error) ?? 0)) return fallback;
    throw error;
  }
}
