/**
 * Values that their bearer brings back: `{payload}.{signature}` in base64url.
 *
 * The payload is readable, not secret. The signature is HMAC-SHA256 over a purpose and the payload, so that nothing made
 * with the same secret for something else passes.
 */
import { createHmac, timingSafeEqual } from "node:crypto";

/** A key of 1,024 bytes, escaped in JSON and in base64. */
const TOKEN_LENGTH_MAX = 12_000;
const TOKEN = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{43})$/;

function signatureOf(secret: string, purpose: string, payload: string): Buffer {
  return createHmac("sha256", secret).update(`${purpose}.${payload}`).digest();
}

export function signPayload(secret: string, purpose: string, fields: readonly unknown[]): string {
  if (secret === "") throw new Error("The signing secret is empty.");
  const payload = Buffer.from(JSON.stringify(fields)).toString("base64url");
  return `${payload}.${signatureOf(secret, purpose, payload).toString("base64url")}`;
}

/** The fields as they were signed; null for what we did not sign, or for another purpose. */
export function verifyPayload(secret: string, purpose: string, token: string): readonly unknown[] | null {
  if (secret === "" || token.length > TOKEN_LENGTH_MAX) return null;
  const [, payload, signature] = TOKEN.exec(token) ?? [];
  if (payload === undefined || signature === undefined) return null;
  const given = Buffer.from(signature, "base64url");
  const expected = signatureOf(secret, purpose, payload);
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return null;
  // The last character of 43 carries four bits that mean nothing: one signature has one spelling.
  if (given.toString("base64url") !== signature) return null;
  // It was signed by us, so it is JSON; its shape is checked for the types' sake.
  const fields: unknown = JSON.parse(Buffer.from(payload, "base64url").toString("utf8"));
  return Array.isArray(fields) ? fields : null;
}
