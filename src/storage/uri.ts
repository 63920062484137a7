/**
 * Storage URIs as clients write them: `local://folder/a.mp4`, `local:///folder/a.mp4`, `{backend}://key`, or a bare path
 * in the default backend.
 *
 * Percent signs: after a scheme each `%XX` is decoded, once, as UTF-8, and a `%` that begins no escape stands for itself;
 * there is no query and no fragment, so `?` and `#` are ordinary. A bare path is taken as it is. What still looks like an
 * encoded `.`, `/`, `\` or NUL after that is refused: someone in front or behind would decode it once more.
 *
 * `http://` and `https://` are URLs as they stand; their backend judges them.
 */
import { RendiffError } from "../errors.ts";
import { isReservedKey, problemOfKey, RESERVED_FOLDER } from "./key.ts";
import type { ObjectRef } from "./port.ts";

export interface StorageUriOptions {
  /** Where bare paths lie; `local` when absent. */
  readonly defaultBackend?: string;
  /** Names of this deployment's backends; without them any well-formed name is accepted. */
  readonly backends?: readonly string[];
}

/** The place, and the URI that names it in answers: `parseStorageUri(uri)` gives the same place. */
export interface StorageUri extends ObjectRef {
  readonly uri: string;
}

const URI_LENGTH_MAX = 4096;
const SCHEME = /^([a-z][a-z0-9+.-]*):\/\//i;
const ALIASES: Readonly<Record<string, string>> = { gs: "gcs" };
/** Their keys are URLs without the scheme, and stay as they were written: percent signs, queries and all. */
const WEB = new Set(["http", "https"]);
const ENCODED_AGAIN = /%(?:25)*(?:2e|2f|5c|00)/i;

const invalid = (problem: string): RendiffError =>
  new RendiffError({ kind: "request.invalid", publicMessage: `The storage path ${problem}.` });

function decodeOnce(text: string): string {
  return text.replaceAll(/(?:%[0-9a-f]{2})+/gi, (escapes) => {
    try {
      return decodeURIComponent(escapes);
    } catch {
      throw invalid("has percent escapes that are not UTF-8");
    }
  });
}

function backendOf(scheme: string, { backends }: StorageUriOptions): string {
  const lower = scheme.toLowerCase();
  const name = ALIASES[lower] ?? lower;
  if (backends !== undefined && !backends.includes(name)) throw noBackend(name, backends);
  return name;
}

/** Says which backends there are: the name may only be mistyped. */
export function noBackend(name: string, names: readonly string[]): RendiffError {
  const shown = name.length > 64 ? `${name.slice(0, 64)}…` : name;
  return new RendiffError({
    kind: "request.unsupported",
    publicMessage: `There is no storage backend named "${shown}"; this deployment has ${names.join(", ")}.`,
  });
}

function checkKey(key: string): void {
  if (ENCODED_AGAIN.test(key)) throw invalid(`has an encoded ".", "/", "\\" or NUL`);
  if (key === "") throw invalid("names no file");
  if (key.endsWith("/")) throw invalid("ends with a slash: name a file, not a folder");
  const problem = problemOfKey(key);
  if (problem !== null) throw invalid(problem);
  if (isReservedKey(key)) throw invalid(`has the part "${RESERVED_FOLDER}": reserved`);
}

/** Rejects with `request.invalid` what is no place, with `request.unsupported` what is none of this deployment's. */
export function parseStorageUri(text: string, options: StorageUriOptions = {}): StorageUri {
  if (text.length > URI_LENGTH_MAX) throw invalid(`is longer than ${URI_LENGTH_MAX} characters`);
  const scheme = SCHEME.exec(text)?.[1];
  let backend = options.defaultBackend ?? "local";
  let key = text;
  if (scheme === undefined) {
    if (text.startsWith("/")) {
      throw invalid(`is absolute: name it relative to the storage folder, or as ${backend}:///path`);
    }
  } else {
    backend = backendOf(scheme, options);
    const rest = text.slice(scheme.length + "://".length);
    if (WEB.has(backend)) return { backend, key: rest, uri: `${backend}://${rest}` };
    if (/^[^/]*:[^/]*@/.test(rest)) throw invalid("holds credentials: they belong in the server's configuration");
    key = decodeOnce(rest.startsWith("/") ? rest.slice(1) : rest);
  }
  checkKey(key);
  return { backend, key, uri: formatUri({ backend, key }) };
}

/**
 * The URI of a place: as readable as it can be, so only what would be read back as something else is escaped, and what
 * would break a line.
 */
export function formatUri(ref: ObjectRef): string {
  if (WEB.has(ref.backend)) return `${ref.backend}://${ref.key}`;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is escaped.
  const escaped = ref.key.replaceAll(/[%\x00-\x1f\x7f-\x9f\u2028\u2029]/g, encodeURIComponent);
  // A colon before an @ in the first part would be taken for credentials.
  const plain = escaped.replace(/^[^/]*:[^/]*@[^/]*/, (first) => first.replaceAll("@", "%40"));
  return `${ref.backend}://${plain}`;
}
