/** The headers that every answer has: what it is called, what a browser may do with it, and who may read it. */

const SANE_REQUEST_ID = /^[A-Za-z0-9._:-]{1,128}$/;

/** The client's own where it is fit for logs, else a new one. */
export function requestIdOf(request: Request): string {
  const given = request.headers.get("x-request-id");
  return given !== null && SANE_REQUEST_ID.test(given) ? given : Bun.randomUUIDv7();
}

export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cache-control": "no-store",
};

/** Of resumable uploads, which browsers make. */
const TUS_HEADERS = [
  "Tus-Resumable",
  "Tus-Version",
  "Tus-Extension",
  "Tus-Max-Size",
  "Upload-Defer-Length",
  "Upload-Expires",
  "Upload-Length",
  "Upload-Metadata",
  "Upload-Offset",
];

export const ALLOWED_HEADERS = [
  "Authorization",
  "X-API-Key",
  "Content-Type",
  "Idempotency-Key",
  "X-Request-Id",
  "Last-Event-ID",
  "Range",
  "If-Range",
  ...TUS_HEADERS,
].join(", ");

const EXPOSED_HEADERS = [
  "X-Request-Id",
  "X-RateLimit-Limit",
  "X-RateLimit-Remaining",
  "X-RateLimit-Reset",
  "Retry-After",
  "Idempotency-Replayed",
  "Location",
  "ETag",
  "Content-Range",
  ...TUS_HEADERS,
].join(", ");

export function corsHeaders(origins: ReadonlySet<string>, request: Request): Record<string, string> {
  const origin = request.headers.get("origin");
  if (origins.size === 0) return {};
  if (origin === null || !(origins.has(origin) || origins.has("*"))) return { vary: "Origin" };
  return {
    vary: "Origin",
    "access-control-allow-origin": origin,
    "access-control-expose-headers": EXPOSED_HEADERS,
    "cross-origin-resource-policy": "cross-origin",
  };
}
