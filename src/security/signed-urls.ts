/** Tokens that let their bearer download one object for a while, without an API key. */
import { signPayload, verifyPayload } from "./signed-payload.ts";

export interface DownloadTarget {
  readonly backend: string;
  readonly key: string;
  /** Of the object when the token was made: what is published there later is not what was allowed. */
  readonly identity: string;
  /** To the second. */
  readonly expiresAt: Date;
}

const PURPOSE = "rendiff.download.v1";

export function signDownload(secret: string, { backend, key, identity, expiresAt }: DownloadTarget): string {
  return signPayload(secret, PURPOSE, [backend, key, identity, Math.floor(expiresAt.getTime() / 1000)]);
}

/** Null for what we did not sign, for other purposes, and after `expiresAt`. */
export function verifyDownload(secret: string, token: string, now: Date = new Date()): DownloadTarget | null {
  const fields = verifyPayload(secret, PURPOSE, token);
  if (fields === null) return null;
  const [backend, key, identity, seconds] = fields;
  if (typeof backend !== "string" || typeof key !== "string" || typeof identity !== "string") return null;
  if (typeof seconds !== "number") return null;
  const expiresAt = new Date(seconds * 1000);
  return now < expiresAt ? { backend, key, identity, expiresAt } : null;
}
