/**
 * What a key may look like: one set of rules for what clients name and for what adapters are handed, so that no backend
 * ever sees a key that could mean a place outside its root.
 */

/** S3's and GCS's limit, in bytes of UTF-8. */
export const KEY_BYTES_MAX = 1024;
/** Of most file systems, in bytes of UTF-8. */
export const NAME_BYTES_MAX = 255;
/** Where the service keeps what is its own (uploads); no client may name it. */
export const RESERVED_FOLDER = ".rendiff";
/** Files in the making begin with this: no list shows them and no key may name them. */
export const STAGING_PREFIX = ".rendiff-";

/**
 * Control characters but tab, newline and carriage return, which are odd but harmless in a name: nothing of ours puts a
 * name into a command, a header or a log line unescaped.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const CONTROL = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/;

const byteLength = (text: string): number => Buffer.byteLength(text, "utf8");

function problemOfName(name: string): string | null {
  if (name === "") return "has an empty part: two slashes in a row, or one at its beginning or end";
  if (name === "." || name === "..") return `has the part "${name}": name the place itself, without "." and ".."`;
  if (byteLength(name) > NAME_BYTES_MAX) return `has a part of more than ${NAME_BYTES_MAX} bytes`;
  if (name.toLowerCase().startsWith(STAGING_PREFIX)) return `has a part that begins with "${STAGING_PREFIX}": reserved`;
  return null;
}

/** Why `key` is no key, as the end of a sentence that begins with what it names; null when it is one. */
export function problemOfKey(key: string): string | null {
  if (key === "") return "is empty";
  if (!key.isWellFormed()) return "is not valid Unicode";
  if (byteLength(key) > KEY_BYTES_MAX) return `is longer than ${KEY_BYTES_MAX} bytes`;
  if (CONTROL.test(key)) return "has a control character";
  if (key.includes("\\")) return "has a backslash: parts are separated by /";
  for (const name of key.split("/")) {
    const problem = problemOfName(name);
    if (problem !== null) return problem;
  }
  return null;
}

/** True for keys below a reserved folder. File systems may ignore case, so the check does. */
export function isReservedKey(key: string): boolean {
  return key.split("/").some((name) => name.toLowerCase() === RESERVED_FOLDER);
}
