/**
 * `/files/{token}`: an output by its signed token, with ranges. Where the store can sign URLs itself, the answer leads
 * there; else its bytes pass through.
 *
 * The token names one object by its identity: what another job has since published under the same name is not it. A
 * slice of the file is sent by the server itself, without its bytes passing through JavaScript.
 */
import { Elysia } from "elysia";
import { RendiffError } from "../../src/errors.ts";
import { sha256Hex } from "../../src/security/digest.ts";
import { verifyDownload } from "../../src/security/signed-urls.ts";
import type { ObjectStat, StorageBackend } from "../../src/storage/port.ts";
import { notFound } from "../answers.ts";
import type { HttpContext } from "../context.ts";
import { API_PREFIX } from "../route-rule.ts";
import { isNotModified, parseRange, rangeStillApplies, type Validators } from "./range.ts";

interface Download {
  readonly backend: StorageBackend;
  readonly key: string;
  readonly stat: ObjectStat;
  /** Null: not on this machine. */
  readonly path: string | null;
}

/** Long enough to begin with; what has begun is not cut off. */
const PRESIGNED_SECONDS = 15 * 60;

async function find(context: HttpContext, token: string): Promise<Download> {
  const target = verifyDownload(context.signingSecret, token);
  if (target === null) {
    throw new RendiffError({ kind: "auth.invalid", publicMessage: "This download link is not valid or has expired." });
  }
  if (!context.storage.names.includes(target.backend)) throw notFound("file");
  const backend = context.storage.backend(target.backend);
  const stat = await backend.stat(target.key);
  if (stat === null || stat.identity !== target.identity) throw notFound("file");
  const path = backend.properties.inPlace ? await backend.localPath(target.key) : null;
  return { backend, key: target.key, stat, path };
}

/** The last part of the key, in the two forms of RFC 6266: ASCII for old clients, UTF-8 for the rest. */
export function contentDisposition(key: string): string {
  const name = key.slice(key.lastIndexOf("/") + 1);
  const ascii = name.replaceAll(/[^\x20-\x7e]|["\\%]/g, "_");
  const encoded = encodeURIComponent(name).replaceAll(
    /['()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${ascii}"; filename*=UTF-8''${encoded}`;
}

/** A store's own URL: asked of the store with the ranges that the client wants. */
async function presigned({ backend, key, path }: Download): Promise<Response | null> {
  if (path !== null) return null;
  const url = await backend.presign(key, {
    expiresInSeconds: PRESIGNED_SECONDS,
    contentDisposition: contentDisposition(key),
  });
  if (url === null) return null;
  return new Response(null, { status: 302, headers: { location: url, "cache-control": "no-store" } });
}

async function bodyOf({ backend, key, stat, path }: Download, start: number, end: number, signal: AbortSignal) {
  if (path !== null) return Bun.file(path).slice(start, end);
  const { stream } = await backend.open(key, { startByte: start, endByte: end, ifIdentity: stat.identity, signal });
  return stream;
}

async function serve(context: HttpContext, request: Request, token: string): Promise<Response> {
  const download = await find(context, token);
  const { key, stat } = download;
  const elsewhere = await presigned(download);
  if (elsewhere !== null) return elsewhere;
  const validators: Validators = { etag: `"${sha256Hex(stat.identity).slice(0, 32)}"`, modifiedAt: stat.modifiedAt };
  const headers: Record<string, string> = {
    etag: validators.etag,
    "last-modified": stat.modifiedAt.toUTCString(),
    "accept-ranges": "bytes",
    "cache-control": "private, max-age=0, must-revalidate",
  };
  if (isNotModified(request.headers, validators)) return new Response(null, { status: 304, headers });
  const asked = rangeStillApplies(request.headers, validators)
    ? parseRange(request.headers.get("range"), stat.sizeBytes)
    : "whole";
  if (asked === "unsatisfiable") {
    return new Response(null, { status: 416, headers: { ...headers, "content-range": `bytes */${stat.sizeBytes}` } });
  }
  const { start, end } = asked === "whole" ? { start: 0, end: stat.sizeBytes } : asked;
  headers["content-disposition"] = contentDisposition(key);
  headers["content-length"] = String(end - start);
  headers["content-type"] = Bun.file(key).type.split(";")[0] ?? "application/octet-stream";
  if (asked !== "whole") headers["content-range"] = `bytes ${start}-${end - 1}/${stat.sizeBytes}`;
  const body = await bodyOf(download, start, end, request.signal);
  return new Response(body, { status: asked === "whole" ? 200 : 206, headers });
}

export const files = (context: HttpContext) =>
  new Elysia({ name: "files", prefix: API_PREFIX }).get("/files/:token", ({ request, params }) =>
    serve(context, request, params.token),
  );
