/**
 * The `.env` format: `NAME=value`, `export NAME=value`, `# comments`. A value in single quotes is taken as it stands,
 * one in double quotes knows `\n`, `\t`, `\"`, `\\` and `\$`; a bare value ends before ` #`. Nothing is expanded: a `$` is a
 * dollar sign, so a password means what it says. A value holds no line break but by `\n`.
 *
 * Our own parser, because Bun's is chosen by NODE_ENV, reads `.env.local`, expands `$`, and reports no mistake.
 */
export interface DotenvResult {
  readonly values: ReadonlyMap<string, string>;
  /** Lines that are none of the above, counted from 1; said without their text, which may hold a secret. */
  readonly problems: readonly { readonly line: number; readonly message: string }[];
}

const ASSIGNMENT = /^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)$/;
const QUOTED = /^(?:'([^']*)'|"((?:[^"\\]|\\.)*)")\s*(?:#.*)?$/;
const ESCAPES: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t" };

export function parseDotenv(content: string): DotenvResult {
  const values = new Map<string, string>();
  const problems: { line: number; message: string }[] = [];
  const lines = content.replace(/^\uFEFF/, "").split(/\r?\n/);
  for (const [index, raw] of lines.entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const [, name, text] = ASSIGNMENT.exec(line) ?? [];
    const value = text === undefined ? null : parseValue(text);
    if (name === undefined || value === null) {
      const message = name === undefined ? "is not of the form NAME=value" : "has a quote that is not closed";
      problems.push({ line: index + 1, message });
    } else if (values.has(name)) {
      problems.push({ line: index + 1, message: `gives ${name} a second time` });
    } else {
      values.set(name, value);
    }
  }
  return { values, problems };
}

function parseValue(text: string): string | null {
  if (!/^['"]/.test(text)) return text.replace(/(^|\s)#.*$/, "").trim();
  const match = QUOTED.exec(text);
  if (match === null) return null;
  const [, single, double = ""] = match;
  return single ?? double.replace(/\\(.)/g, (_, escaped: string) => ESCAPES[escaped] ?? escaped);
}
