/** `/uploads`: resumable by tus 1.0, or at once by PUT; and what an upload is. */
import { Elysia } from "elysia";
import { RendiffError } from "../../src/errors.ts";
import { getUpload, tooLargeUpload, UPLOAD_BACKEND, type Upload } from "../../src/jobs/uploads.ts";
import { requireReadable, visibleKey } from "../../src/security/principal.ts";
import { problemOfKey } from "../../src/storage/key.ts";
import type { UploadWriter } from "../../src/uploads/uploads.ts";
import { answer, conflict, notFound } from "../answers.ts";
import type { HttpContext } from "../context.ts";
import { idempotently, type StoreAnswer } from "../idempotent.ts";
import { API_PREFIX } from "../route-rule.ts";
import { principalOf, stateOf } from "../state.ts";
import { answerTus, TUS_VERSION } from "./tus.ts";
import type { UploadView } from "./uploads.routes.ts";
import { toUploadView, uploadUrl, withMedia } from "./view.ts";

const invalid = (publicMessage: string): RendiffError => new RendiffError({ kind: "request.invalid", publicMessage });

/** Whoever may not read uploads could do nothing with one. */
function requireUploader(request: Request): void {
  requireReadable(principalOf(request), UPLOAD_BACKEND, "/uploads");
}

/** What the client says of the upload: its bytes are not what makes two requests the same. */
function announced(request: Request): Uint8Array {
  const names = ["upload-length", "upload-defer-length", "upload-metadata"];
  return new TextEncoder().encode(JSON.stringify(names.map((name) => request.headers.get(name))));
}

async function create(context: HttpContext, request: Request): Promise<Response> {
  requireUploader(request);
  const keyed = request.headers.get("idempotency-key") !== null;
  if (keyed && request.headers.get("content-type") !== null) {
    throw invalid("An Idempotency-Key cannot go with the upload's bytes: begin it without them.");
  }
  const begin = async (store: StoreAnswer | null): Promise<Response> => {
    const { response, upload } = await answerTus(context, request, async (tx, created) => {
      const location = uploadUrl(context, request, created.id);
      await store?.(tx, { status: 201, body: toUploadView(context, request, created), location });
    });
    if (upload === null) throw new Refused(response);
    return answer(201, toUploadView(context, request, upload), Object.fromEntries(response.headers.entries()));
  };
  try {
    const made = await idempotently(context, request, announced(request), begin);
    made.headers.set("tus-resumable", TUS_VERSION);
    return keyed ? await withExpiry(made) : made;
  } catch (error) {
    if (error instanceof Refused) return error.response;
    throw error;
  }
}

/** A repeated answer says it as the first one does. */
async function withExpiry(made: Response): Promise<Response> {
  const text = await made.text();
  const view = JSON.parse(text) as UploadView;
  const { headers, status } = made;
  if (view.status !== "complete") headers.set("upload-expires", new Date(view.expires_at).toUTCString());
  return new Response(text, { status, headers });
}

/** Thrown, so that the Idempotency-Key is free again. */
class Refused extends Error {
  constructor(readonly response: Response) {
    super("tus refused the request");
  }
}

async function tus(context: HttpContext, request: Request): Promise<Response> {
  return (await answerTus(context, request)).response;
}

async function get(context: HttpContext, request: Request, id: string): Promise<Response> {
  // A HEAD is the protocol's question, whichever way the router took it.
  if (stateOf(request).method === "HEAD") return tus(context, request);
  const upload = await getUpload(context.sql, { id, keyId: visibleKey(principalOf(request)) });
  if (upload === null) throw notFound("upload");
  return answer(200, toUploadView(context, request, await withMedia(context, request, upload)));
}

function nameOf(given: string): string {
  const problem = given.includes("/") ? "has a slash" : problemOfKey(given);
  if (problem !== null) throw invalid(`The upload's name ${problem}.`);
  return given;
}

/** Null: not said. */
function declaredBytes(context: HttpContext, request: Request): number | null {
  if (request.headers.get("content-range") !== null) {
    throw invalid("A PUT takes the whole file: for parts of it there is tus, at POST /uploads.");
  }
  const text = request.headers.get("content-length");
  const bytes = text === null ? null : Number(text);
  if (bytes === 0 || request.body === null) throw invalid("The upload is empty.");
  if ((bytes ?? 0) > context.uploads.limitBytes) throw tooLargeUpload(context.uploads.limitBytes);
  return bytes;
}

async function* chunksOf(body: ReadableStream<Uint8Array>, stop: AbortSignal): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    stop.throwIfAborted();
    yield chunk;
  }
}

async function put(context: HttpContext, request: Request, name: string): Promise<Response> {
  requireUploader(request);
  const { uploads } = context;
  const given = { id: Bun.randomUUIDv7(), keyId: principalOf(request).keyId, name: nameOf(name), metadata: {} };
  const sizeBytes = declaredBytes(context, request);
  const begun = await uploads.begin({ ...given, sizeBytes, resumable: false });
  const stop = new AbortController();
  const stopped = (): void => stop.abort(conflict("The upload was stopped."));
  const writer = await uploads.open(begun, stopped, request.signal);
  if (writer === null) throw notFound("upload");
  try {
    const upload = await receiveWhole(writer, chunksOf(request.body ?? new ReadableStream(), stop.signal));
    const headers = { location: uploadUrl(context, request, upload.id) };
    return answer(201, toUploadView(context, request, await withMedia(context, request, upload)), headers);
  } finally {
    await writer.release();
  }
}

async function receiveWhole(writer: UploadWriter, chunks: AsyncIterable<Uint8Array>): Promise<Upload> {
  try {
    await writer.receive(chunks);
    if (writer.upload.status === "complete") return writer.upload;
    if (writer.upload.sizeBytes !== null) throw invalid("Fewer bytes came than Content-Length says.");
    if (writer.upload.offsetBytes === 0) throw invalid("The upload is empty.");
    return await writer.complete();
  } catch (error) {
    // Nobody could go on with it. What cannot be removed now expires.
    await writer.remove().catch(() => {});
    throw error instanceof RendiffError ? error : conflict("The upload was broken off.", error);
  }
}

export const uploads = (context: HttpContext) =>
  new Elysia({ name: "uploads", prefix: API_PREFIX })
    .options("/uploads", ({ request }) => tus(context, request), { parse: "none" })
    .post("/uploads", ({ request }) => create(context, request), { parse: "none" })
    .get("/uploads/:id", ({ request, params }) => get(context, request, params.id), { parse: "none" })
    .patch("/uploads/:id", ({ request }) => tus(context, request), { parse: "none" })
    .delete("/uploads/:id", ({ request }) => tus(context, request), { parse: "none" })
    .put("/uploads/:id", ({ request, params }) => put(context, request, params.id), { parse: "none" });
