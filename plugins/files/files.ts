/**
 * `/files/{token}`: a local output by its signed token, with ranges.
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
  readonly path: string;
}

async function find(context: HttpContext, token: string): Promise<Download> {
  const target = verifyDownload(context.signingSecret, token);
  if (target === null) {
    throw new RendiffError({ kind: "auth.invalid", publicMessage: "This download link is not valid or has expired." });
  }
  if (!context.storage.names.includes(target.backend)) throw notFound("file");
  const backend = context.storage.backend(target.backend);
  const stat = await backend.stat(target.key);
  if (stat === null || stat.identity !== target.identity) throw notFound("file");
  const path = await backend.localPath(target.key);
  if (path === null) throw notFound("file");
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

async function serve(context: HttpContext, request: Request, token: string): Promise<Response> {
  const { key, stat, path } = await find(context, token);
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
  const file = Bun.file(path);
  headers["content-type"] = file.type.split(";")[0] ?? "application/octet-stream";
  if (asked !== "whole") headers["content-range"] = `bytes ${start}-${end - 1}/${stat.sizeBytes}`;
  return new Response(file.slice(start, end), { status: asked === "whole" ? 200 : 206, headers });
}

export const files = (context: HttpContext) =>
  new Elysia({ name: "files", prefix: API_PREFIX }).get("/files/:token", ({ request, params }) =>
    serve(context, request, params.token),
  );
