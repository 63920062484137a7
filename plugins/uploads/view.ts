/** An upload as clients read it, and what it is. */
import { RendiffError } from "../../src/errors.ts";
import { recordUploadMedia, UPLOAD_BACKEND, type Upload } from "../../src/jobs/uploads.ts";
import { containerNamed } from "../../src/media/containers.ts";
import type { MediaInfo } from "../../src/media/types.ts";
import { baseUrl, withDeadline } from "../answers.ts";
import type { HttpContext } from "../context.ts";
import { API_PREFIX } from "../route-rule.ts";
import { toSnakeCase } from "../snake-case.ts";
import type { UploadView } from "./uploads.routes.ts";

const PROBE_TIMEOUT_MS = 10_000;

export const uploadUrl = (context: HttpContext, request: Request, id: string): string =>
  `${baseUrl(context, request)}${API_PREFIX}/uploads/${id}`;

export function toUploadView(context: HttpContext, request: Request, upload: Upload): UploadView {
  const media = (upload.media ?? null) as MediaInfo | null;
  return {
    id: upload.id,
    uri: `${UPLOAD_BACKEND}://${upload.id}`,
    name: upload.name,
    status: upload.status,
    bytes: upload.sizeBytes,
    offset: upload.offsetBytes,
    media_type: media === null ? null : (containerNamed(media.container)?.mediaType ?? "application/octet-stream"),
    media: media === null ? null : toSnakeCase(media, ["tags"]),
    created_at: upload.createdAt.toISOString(),
    expires_at: upload.expiresAt.toISOString(),
    links: { self: uploadUrl(context, request, upload.id) },
  };
}

const isNoMedia = (error: unknown): boolean =>
  error instanceof RendiffError && ["input.unreadable", "input.unsupported"].includes(error.kind);

/** Probes a complete upload once. An upload is no less good because no worker answers now: then the next look finds out. */
export async function withMedia(context: HttpContext, request: Request, upload: Upload): Promise<Upload> {
  if (upload.status !== "complete" || upload.media !== undefined) return upload;
  const ref = { backend: UPLOAD_BACKEND, key: upload.id };
  const say = (error: unknown, message: string): void =>
    context.logger.warn({ err: error, upload: upload.id }, message);
  const probe = (signal: AbortSignal): Promise<unknown> =>
    context.media.probe(ref, signal).catch((error: unknown) => {
      if (isNoMedia(error)) return null;
      throw error;
    });
  try {
    const media = await withDeadline(request, PROBE_TIMEOUT_MS, probe);
    // The upload is there whatever becomes of this: to answer with an error would make the client send it again.
    await recordUploadMedia(context.sql, upload.id, media).catch((error: unknown) =>
      say(error, "what an upload is could not be kept; the next look finds it out again"),
    );
    return { ...upload, media };
  } catch (error) {
    say(error, "an upload could not be probed now");
    return upload;
  }
}
