/**
 * Tokens that let their bearer download one object for a while, without an API key: `{payload}.{signature}` in base64url.
 *
 * The payload is readable, not secret: it names what its bearer was allowed to see when it was made. The signature is
 * HMAC-SHA256 over a purpose and the payload, so that no token made with the same secret for something else passes.
 */
import { createHmac, timingSafeEqual } from "node:crypto";

export interface DownloadTarget {
  readonly backend: string;
  readonly key: string;
  /** Of the object when the token was made: what is published there later is not what was allowed. */
  readonly identity: string;
  /** To the second. */
  readonly expiresAt: Date;
}

const PURPOSE = "rendiff.download.v1";
/** A key of 1,024 bytes, escaped in JSON and in base64. */
const TOKEN_LENGTH_MAX = 12_000;
const TOKEN = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{43})$/;

function signatureOf(secret: string, payload: string): Buffer {
  return createHmac("sha256", secret).update(`${PURPOSE}.${payload}`).digest();
}

export function signDownload(secret: string, { backend, key, identity, expiresAt }: DownloadTarget): string {
  if (secret === "") throw new Error("The signing secret is empty.");
  const seconds = Math.floor(expiresAt.getTime() / 1000);
  const payload = Buffer.from(JSON.stringify([backend, key, identity, seconds])).toString("base64url");
  return `${payload}.${signatureOf(secret, payload).toString("base64url")}`;
}

function parsePayload(payload: string): DownloadTarget | null {
  // It was signed by us, so it is JSON; its shape is checked for the types' sake.
  const fields: unknown = JSON.parse(Buffer.from(payload, "base64url").toString("utf8"));
  if (!Array.isArray(fields)) return null;
  const [backend, key, identity, seconds] = fields as readonly unknown[];
  if (typeof backend !== "string" || typeof key !== "string" || typeof identity !== "string") return null;
  if (typeof seconds !== "number") return null;
  return { backend, key, identity, expiresAt: new Date(seconds * 1000) };
}

/** Null for what we did not sign, for other purposes, and after `expiresAt`. */
export function verifyDownload(secret: string, token: string, now: Date = new Date()): DownloadTarget | null {
  if (secret === "" || token.length > TOKEN_LENGTH_MAX) return null;
  const [, payload, signature] = TOKEN.exec(token) ?? [];
  if (payload === undefined || signature === undefined) return null;
  const given = Buffer.from(signature, "base64url");
  const expected = signatureOf(secret, payload);
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return null;
  // The last character of 43 carries four bits that mean nothing: one signature has one spelling.
  if (given.toString("base64url") !== signature) return null;
  const target = parsePayload(payload);
  return target !== null && now < target.expiresAt ? target : null;
}
