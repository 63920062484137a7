/**
 * Tokens for browsers, which cannot set headers on WebSocket and EventSource: `{payload}.{signature}`, as in signed URLs and
 * under a purpose of their own. A token reads events, of one job or of all of a key's, and nothing else; it works for no
 * longer than its key does, which is looked up at each use.
 */
import { isUuid } from "../jobs/store.ts";
import type { JobId, KeyId } from "../jobs/types.ts";
import { signPayload, verifyPayload } from "./signed-payload.ts";

const PURPOSE = "rendiff.read.v1";

export interface ReadToken {
  readonly keyId: KeyId;
  /** Null: every job of the key. */
  readonly jobId: JobId | null;
  /** To the second. */
  readonly expiresAt: Date;
}

export function signReadToken(secret: string, { keyId, jobId, expiresAt }: ReadToken): string {
  return signPayload(secret, PURPOSE, [keyId, jobId, Math.floor(expiresAt.getTime() / 1000)]);
}

/** Null for what we did not sign, for other purposes, and after `expiresAt`. */
export function verifyReadToken(secret: string, token: string, now: Date = new Date()): ReadToken | null {
  const fields = verifyPayload(secret, PURPOSE, token);
  if (fields === null) return null;
  const [keyId, jobId, seconds] = fields;
  if (typeof keyId !== "string" || !isUuid(keyId) || typeof seconds !== "number") return null;
  if (jobId !== null && (typeof jobId !== "string" || !isUuid(jobId))) return null;
  const expiresAt = new Date(seconds * 1000);
  return now < expiresAt ? { keyId: keyId as KeyId, jobId: jobId as JobId | null, expiresAt } : null;
}
