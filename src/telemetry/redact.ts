/**
 * What no log line may hold, taken out of the finished line: so it does not matter through which field, message, error or
 * child logger it came. Fields are matched by name, everything else by its form.
 */

const MASK = "[redacted]";

const SECRET_NAME = `(?:[a-z0-9_-]*[_-])?(?:${[
  "authorization",
  "cookie",
  "passw(?:or)?d",
  "secret",
  "token",
  "credentials?",
  "api[_-]?key",
  "access[_-]?key(?:[_-]?id)?",
  "connection[_-]?string",
].join("|")})`;

/** String values only: a lease's token is a number and no secret. */
const SECRET_FIELD = new RegExp(String.raw`("${SECRET_NAME}"\s*:\s*)"(?:[^"\\]|\\.)*"`, "gi");

/** The same inside a string, as in a body that was logged as text: there a quote is `\"`, and one in a value `\\\"`. */
const QUOTED_FIELD = new RegExp(String.raw`(\\"${SECRET_NAME}\\"\s*:\s*\\")(?:\\\\(?:\\.|[^"\\])|(?!\\").)*`, "gi");

/** Names in camel case: `apiKey`, `signingSecret`. */
const CAMEL_FIELD =
  /("[A-Za-z0-9]*(?:Secret|Password|Token|[aA]piKey|AccessKey(?:Id)?|ConnectionString)":)"(?:[^"\\]|\\.)*"/g;

const FORMS: readonly (readonly [RegExp, string])[] = [
  [SECRET_FIELD, `$1"${MASK}"`],
  [QUOTED_FIELD, `$1${MASK}`],
  [CAMEL_FIELD, `$1"${MASK}"`],
  // Our keys, `rnd_<id>_<secret>`: the id stays, it says whose the line is.
  [/\brnd_([A-Za-z0-9-]+)_[A-Za-z0-9_-]+/g, `rnd_$1_${MASK}`],
  [/\bwhsec_[A-Za-z0-9+/=_-]+/g, `whsec_${MASK}`],
  [/\b(bearer|basic)\s+(?!\[redacted\])[A-Za-z0-9._~+/=-]{8,}/gi, `$1 ${MASK}`],
  [/\b(x-api-key\\?"?\s*[:=]\s*\\?"?)(?!\[redacted\])[^\s"\\,}]+/gi, `$1${MASK}`],
  // A URL's password.
  [/(\b[a-z][a-z0-9+.-]{0,20}:\/\/[^\s/:@"']*:)[^\s/@"']+@/gi, `$1${MASK}@`],
  // Signed URLs.
  [/([?&](?:token|signature|sig|x-amz-signature|x-amz-credential|x-goog-signature)=)[^\s&"\\]+/gi, `$1${MASK}`],
];

/** `secrets` are masked wherever they stand: keys of the operator's have no form of their own. */
export function makeRedactor(secrets: readonly string[] = []): (line: string) => string {
  // As they stand inside a JSON string, and in one that is the value of another.
  const escaped = (text: string): string => JSON.stringify(text).slice(1, -1);
  const exact = secrets
    .filter((secret) => secret.length >= 8)
    .flatMap((secret) => [...new Set([escaped(escaped(secret)), escaped(secret)])]);
  return (line) => {
    let clean = line;
    for (const secret of exact) clean = clean.replaceAll(secret, MASK);
    for (const [form, mask] of FORMS) clean = clean.replace(form, mask);
    return clean;
  };
}
