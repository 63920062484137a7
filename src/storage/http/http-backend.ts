/**
 * `http://` and `https://` as inputs: read only, each request through the guard, nothing believed that the server says of
 * itself. A key is the URL without its scheme and `://`, query included.
 *
 * An object's identity is its strong ETag, else its date and length. A server that cannot read parts (`ranges: false`) is read
 * from the beginning. An answer that ends early, or that holds other bytes than were asked for, is an error, never a short
 * object.
 */
import type { IncomingHttpHeaders } from "node:http";
import { RendiffError } from "../../errors.ts";
import { type GuardedResponse, guardedRequest } from "../../security/outbound/guarded-request.ts";
import type { UrlGuard } from "../../security/outbound/url-guard.ts";
import type { BackendProperties, ObjectStat, OpenOptions, StorageBackend } from "../port.ts";
import { changed, readOnly, statusError, toHttpError } from "./errors.ts";
import { toStream } from "./read.ts";

export interface HttpBackendOptions {
  readonly name: "http" | "https";
  readonly guard: UrlGuard;
  /** Silence after which a server is given up, before its answer and inside it. */
  readonly stallTimeoutMs?: number;
  /** Certificate authorities beside the system's, PEM; for tests. */
  readonly authorities?: readonly string[];
}

const PROPERTIES: BackendProperties = {
  type: "http",
  readable: true,
  writable: false,
  publishing: "none",
  conditionalDelete: false,
  conditionalPublish: false,
  findsStaging: false,
  inPlace: false,
};

const REDIRECTS_MAX = 5;
const STALL_TIMEOUT_MS = 30_000;

interface Range {
  /** What is asked for; `end` is exclusive and null for the rest. */
  readonly start: number;
  readonly end: number | null;
}

/** `bytes 0-9/100`, with `end` exclusive; null when the header is absent or says no length. */
function parseContentRange(header: string | undefined): { start: number; end: number; total: number } | null {
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/i.exec(header?.trim() ?? "");
  if (match === null) return null;
  const [start = 0, last = 0, total = 0] = match.slice(1).map(Number);
  return start <= last && last < total ? { start, end: last + 1, total } : null;
}

const strongTag = (headers: IncomingHttpHeaders): string | null =>
  headers.etag?.startsWith('"') === true ? headers.etag : null;

function toStat({ status, headers }: GuardedResponse): ObjectStat | null {
  const part = status === 206 ? parseContentRange(headers["content-range"]) : null;
  const length = /^\d{1,15}$/.test(headers["content-length"] ?? "") ? Number(headers["content-length"]) : null;
  const sizeBytes = part?.total ?? (status === 200 ? length : null);
  if (sizeBytes === null) return null;
  const modified = Date.parse(headers["last-modified"] ?? "");
  const identity = strongTag(headers) ?? `${headers["last-modified"] ?? ""};${sizeBytes}`;
  return {
    sizeBytes,
    modifiedAt: new Date(Number.isNaN(modified) ? 0 : modified),
    identity,
    ...(status === 206 ? {} : { ranges: false as const }),
  };
}

const noLength = (): RendiffError =>
  new RendiffError({
    kind: "input.unsupported",
    publicMessage: "The server does not say how long the input is, so nothing would tell a whole one from a part.",
    hint: "Serve it with a Content-Length.",
  });

class HttpBackend implements StorageBackend {
  readonly name: string;
  readonly properties = PROPERTIES;
  readonly #options: HttpBackendOptions;
  readonly #stallTimeoutMs: number;

  constructor(options: HttpBackendOptions) {
    this.name = options.name;
    this.#options = options;
    this.#stallTimeoutMs = options.stallTimeoutMs ?? STALL_TIMEOUT_MS;
  }

  checkKey(key: string): void {
    this.#options.guard.check(this.#url(key));
  }

  async stat(key: string, signal?: AbortSignal): Promise<ObjectStat | null> {
    // Not HEAD: signed URLs allow GET alone, and many servers answer HEAD with other headers.
    const response = await this.#get(key, { start: 0, end: 1 }, signal ?? new AbortController().signal);
    response.body.on("error", () => {});
    response.body.destroy();
    if (response.status === 404 || response.status === 410) return null;
    if (response.status === 416) return { sizeBytes: 0, modifiedAt: new Date(0), identity: ";0" };
    if (response.status !== 200 && response.status !== 206) throw statusError(response.status, response.headers);
    const stat = toStat(response);
    if (stat === null) throw noLength();
    return stat;
  }

  async open(
    key: string,
    options: OpenOptions = {},
  ): Promise<{ stat: ObjectStat; stream: ReadableStream<Uint8Array> }> {
    const stopping = new AbortController();
    const signal = options.signal === undefined ? stopping.signal : AbortSignal.any([stopping.signal, options.signal]);
    const { startByte = 0, endByte } = options;
    const whole = startByte === 0 && endByte === undefined;
    const response = await this.#get(key, whole ? null : { start: startByte, end: endByte ?? null }, signal, options);
    try {
      const { stat, skipBytes, lengthBytes } = this.#judge(response, options);
      const source = { body: response.body, skipBytes, lengthBytes, stallTimeoutMs: this.#stallTimeoutMs };
      return { stat, stream: toStream(source, options.signal) };
    } catch (error) {
      response.body.on("error", () => {});
      stopping.abort();
      response.body.destroy();
      throw error;
    }
  }

  /** What the answer is of: which bytes come, and of which object. */
  #judge(response: GuardedResponse, { startByte = 0, endByte, ifIdentity }: OpenOptions) {
    const { status, headers } = response;
    if (status === 416 && ifIdentity !== undefined) throw changed();
    if (status !== 200 && status !== 206) throw statusError(status, headers);
    const stat = toStat(response);
    if (stat === null) throw noLength();
    if (ifIdentity !== undefined && ifIdentity !== stat.identity) throw changed();
    const end = Math.min(endByte ?? stat.sizeBytes, stat.sizeBytes);
    const start = Math.min(startByte, end);
    if (status === 200) return { stat, skipBytes: start, lengthBytes: end - start };
    const part = parseContentRange(headers["content-range"]);
    if (part === null || part.start !== start || part.end < end) throw statusError(status, headers);
    return { stat, skipBytes: 0, lengthBytes: end - start };
  }

  async #get(key: string, range: Range | null, signal: AbortSignal, { ifIdentity }: OpenOptions = {}) {
    const headers: Record<string, string> = { accept: "*/*", "user-agent": "rendiff" };
    if (range !== null) {
      headers.range = `bytes=${range.start}-${range.end === null ? "" : range.end - 1}`;
      if (ifIdentity?.startsWith('"') === true) headers["if-range"] = ifIdentity;
    }
    try {
      return await guardedRequest(this.#options.guard, {
        ...{ url: this.#url(key), method: "GET", headers, signal },
        ...{ redirectsMax: REDIRECTS_MAX, headersTimeoutMs: this.#stallTimeoutMs },
        ...(this.#options.authorities === undefined ? {} : { authorities: this.#options.authorities }),
      });
    } catch (error) {
      throw toHttpError(error, signal);
    }
  }

  #url(key: string): string {
    return `${this.name}://${key}`;
  }

  localPath = async (): Promise<null> => null;
  presign = async (): Promise<null> => null;
  stage = async (): Promise<never> => readOnly();
  fill = async (): Promise<never> => readOnly();
  publish = async (): Promise<never> => readOnly();
  settle = async (): Promise<never> => readOnly();
  abort = async (): Promise<never> => readOnly();
  delete = async (): Promise<never> => readOnly();
  list = async (): Promise<never> => readOnly();
  freeBytes = async (): Promise<null> => null;
  async close(): Promise<void> {}
}

export const openHttpBackend = (options: HttpBackendOptions): StorageBackend => new HttpBackend(options);
