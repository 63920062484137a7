/**
 * tus 1.0 by its own server library, over our rows and bytes: the library reads the protocol's headers and orders the
 * steps, `src/uploads/` holds the rights and the bytes. One small server per request, so that its store knows the caller.
 *
 * Its errors are plain texts with a status; they leave here in the one shape of all errors, under the status that tus asks
 * for.
 */
import type { Readable } from "node:stream";
import { DataStore, type Locker, Server, Upload as TusUpload } from "@tus/server";
import { RendiffError } from "../../src/errors.ts";
import { getUpload, type Upload } from "../../src/jobs/uploads.ts";
import { type Principal, visibleKey } from "../../src/security/principal.ts";
import { roleAllows } from "../../src/security/roles.ts";
import type { OnCreated, UploadWriter } from "../../src/uploads/uploads.ts";
import { notFound } from "../answers.ts";
import { isStorableText } from "../body.ts";
import type { HttpContext } from "../context.ts";
import { type ErrorCode, refusal } from "../errors.ts";
import { API_PREFIX } from "../route-rule.ts";
import { principalOf, setState, stateOf } from "../state.ts";
import { uploadUrl } from "./view.ts";

const EXTENSIONS = ["creation", "creation-with-upload", "creation-defer-length", "termination", "expiration"];
export const TUS_VERSION = "1.0.0";
const BYTES_TYPE = "application/offset+octet-stream";
/** For a writer whose place is wanted: what is on its way may still arrive. */
const DRAIN_MS = 300;
const NAME_LENGTH_MAX = 255;
const METADATA_LENGTH_MAX = 4_096;

/** What of the library's headers is the protocol's; the rest the front end says for all routes. */
const HEADERS = [
  "location",
  "tus-resumable",
  "tus-version",
  "tus-extension",
  "tus-max-size",
  "upload-offset",
  "upload-length",
  "upload-defer-length",
  "upload-metadata",
  "upload-expires",
  "cache-control",
  "connection",
];

const CODES: Readonly<Record<number, ErrorCode>> = {
  404: "NOT_FOUND",
  409: "CONFLICT",
  413: "PAYLOAD_TOO_LARGE",
  500: "INTERNAL_ERROR",
};

const MESSAGES: Readonly<Record<number, string>> = {
  409: "Upload-Offset is not where the upload ends: ask with HEAD where it does.",
  413: "More bytes than the upload was said to have, or than UPLOAD_LIMIT allows.",
};

function metadataOf(given: TusUpload["metadata"]): { name: string; metadata: Record<string, string | null> } {
  const metadata = given ?? {};
  const good = Object.values(metadata).every((value) => value === null || isStorableText(value));
  if (!good || JSON.stringify(metadata).length > METADATA_LENGTH_MAX) {
    throw new RendiffError({
      kind: "request.invalid",
      publicMessage: `Upload-Metadata is not valid: text of at most ${METADATA_LENGTH_MAX} characters in all.`,
    });
  }
  const name = metadata.filename || metadata.name || "upload";
  return { name: [...name].slice(0, NAME_LENGTH_MAX).join(""), metadata };
}

const mayWrite = ({ keyId, role }: Principal, upload: Upload): boolean =>
  keyId === upload.keyId && roleAllows(role, "user");

const toTus = (upload: Upload, keepMs: number): TusUpload =>
  new TusUpload({
    id: upload.id,
    offset: upload.offsetBytes,
    ...(upload.sizeBytes === null ? {} : { size: upload.sizeBytes }),
    metadata: { ...upload.metadata },
    // The library adds what it is kept for to it.
    creation_date: new Date(upload.expiresAt.getTime() - keepMs).toISOString(),
  });

/** Of one request: it begins an upload, or holds the one that it names. */
class RequestStore extends DataStore implements Locker {
  override extensions = EXTENSIONS;
  readonly #context: HttpContext;
  readonly #request: Request;
  readonly #onCreated: OnCreated | undefined;
  #writer: UploadWriter | null = null;
  #looked: Upload | null = null;
  #wanted: { cancel: () => void; signal: AbortSignal } | null = null;

  constructor(context: HttpContext, request: Request, onCreated: OnCreated | undefined) {
    super();
    this.#context = context;
    this.#request = request;
    this.#onCreated = onCreated;
  }

  get upload(): Upload | null {
    return this.#writer?.upload ?? null;
  }

  newLock(id: string) {
    return {
      lock: async (signal: AbortSignal, cancel: () => void | Promise<void>): Promise<void> => {
        this.#wanted = { cancel: () => void cancel(), signal: AbortSignal.any([signal, this.#request.signal]) };
        if (this.#request.method !== "POST") await this.#open(id);
      },
      unlock: async (): Promise<void> => this.#writer?.release(),
    };
  }

  async #open(id: string): Promise<void> {
    const { sql, uploads } = this.#context;
    const upload = await getUpload(sql, { id, keyId: visibleKey(principalOf(this.#request)) });
    if (upload === null || this.#wanted === null) throw notFound("upload");
    // A plain PUT is nobody's to go on with.
    if (!upload.resumable && upload.status === "receiving") throw notFound("upload");
    // Who comes back to write asks first, which ends the connection that broke; who could not write has only a look.
    if (this.#request.method === "HEAD" && !mayWrite(principalOf(this.#request), upload)) {
      this.#looked = await uploads.look(upload);
      return;
    }
    this.#writer = await uploads.open(upload, this.#wanted.cancel, this.#wanted.signal);
    if (this.#writer === null) throw notFound("upload");
  }

  get #held(): UploadWriter {
    if (this.#writer === null) throw notFound("upload");
    return this.#writer;
  }

  override async create(file: TusUpload): Promise<TusUpload> {
    const { name, metadata } = metadataOf(file.metadata);
    const { keyId } = principalOf(this.#request);
    const sizeBytes = file.size ?? null;
    const given = { id: file.id, keyId, name, metadata, sizeBytes, resumable: true };
    await this.#context.uploads.begin(given, this.#onCreated);
    await this.#open(file.id);
    return file;
  }

  override async getUpload(): Promise<TusUpload> {
    return toTus(this.#looked ?? this.#held.upload, this.getExpiration());
  }

  override write(stream: Readable): Promise<number> {
    return this.#held.receive(stream);
  }

  override declareUploadLength(_id: string, sizeBytes: number): Promise<void> {
    return this.#held.declare(sizeBytes);
  }

  override remove(): Promise<void> {
    return this.#held.remove();
  }

  override getExpiration(): number {
    return this.#context.uploads.keepMs;
  }
}

/** What the library would take without a word, or refuse by another status than tus asks for. */
function problemOf(request: Request): Response | null {
  const { requestId } = stateOf(request);
  const refuse = (status: number, message: string): Response => refusal(status, "VALIDATION_ERROR", message, requestId);
  const has = (name: string): boolean => request.headers.get(name) !== null;
  if (request.method === "OPTIONS") return null;
  if (request.headers.get("tus-resumable") !== TUS_VERSION) {
    return refuse(412, `This server speaks tus ${TUS_VERSION}: say so in Tus-Resumable.`);
  }
  if (has("upload-checksum") || has("upload-concat")) {
    return refuse(
      400,
      "This server does not have tus's extensions checksum and concatenation; Tus-Extension says which.",
    );
  }
  if (request.method === "PATCH" && !has("upload-offset")) return refuse(400, "Upload-Offset is missing.");
  const type = request.headers.get("content-type");
  const sends = request.method === "PATCH" || (request.method === "POST" && request.body !== null && type !== null);
  if (sends && type !== BYTES_TYPE) return refuse(415, `The bytes of an upload are sent as ${BYTES_TYPE}.`);
  return null;
}

function protocolHeaders(answer: Response): Record<string, string> {
  const found: Record<string, string> = { "tus-resumable": TUS_VERSION };
  for (const name of HEADERS) {
    const value = answer.headers.get(name);
    if (value !== null) found[name] = value;
  }
  if (answer.status === 412) found["tus-version"] = TUS_VERSION;
  return found;
}

function answerOf(request: Request, given: Response, upload: Upload | null, text: string): TusAnswer {
  const headers = protocolHeaders(given);
  const { status } = given;
  if (status < 400) return { response: new Response(null, { status, headers }), upload };
  const message = MESSAGES[status] ?? `The upload's request is not valid: ${text.trim() || "it was broken off"}.`;
  const { requestId } = stateOf(request);
  const response = refusal(status, CODES[status] ?? "VALIDATION_ERROR", message, requestId);
  for (const [name, value] of Object.entries(headers)) response.headers.set(name, value);
  return { response, upload: null };
}

export interface TusAnswer {
  readonly response: Response;
  /** That the request was about, as it is afterwards. */
  readonly upload: Upload | null;
}

export async function answerTus(context: HttpContext, request: Request, onCreated?: OnCreated): Promise<TusAnswer> {
  const { method } = stateOf(request);
  // A HEAD arrives as a GET, whose body nobody reads.
  const asked = method === request.method ? request : withMethod(request, method);
  const problem = problemOf(asked);
  if (problem !== null) {
    if (problem.status === 412) problem.headers.set("tus-version", TUS_VERSION);
    problem.headers.set("tus-resumable", TUS_VERSION);
    return { response: problem, upload: null };
  }
  const store = new RequestStore(context, asked, onCreated);
  let failure: unknown = null;
  const server = new Server({
    path: `${API_PREFIX}/uploads`,
    datastore: store,
    locker: store,
    lockDrainTimeout: DRAIN_MS,
    maxSize: context.uploads.limitBytes,
    namingFunction: () => Bun.randomUUIDv7(),
    generateUrl: (_request, { id }) => uploadUrl(context, request, id),
    async onResponseError(_request, error) {
      failure = error;
      return undefined;
    },
  });
  const given = await server.handleWeb(asked);
  if (failure instanceof RendiffError) throw failure;
  return answerOf(request, given, store.upload, given.status >= 400 ? await given.text() : "");
}

/** With what is known beside the request. */
function withMethod(request: Request, method: string): Request {
  const other = new Request(request.url, { method, headers: request.headers, signal: request.signal });
  setState(other, stateOf(request));
  return other;
}
