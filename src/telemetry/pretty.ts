/** A log line for people, made from the JSON line: in this thread, since the compiled binary has no worker to load. */

const COLORS: Readonly<Record<string, number>> = { trace: 90, debug: 90, info: 32, warn: 33, error: 31, fatal: 35 };
const HIDDEN = new Set(["level", "time", "msg", "err"]);

export interface PrettyOptions {
  readonly color: boolean;
}

/** What is no JSON line comes back as it is. The answer ends with a line break. */
export function toPretty(line: string, { color }: PrettyOptions): string {
  const entry = parseEntry(line);
  if (entry === null) return line.endsWith("\n") ? line : `${line}\n`;
  const paint = (code: number, text: string): string => (color ? `\u001b[${code}m${text}\u001b[0m` : text);
  const level = String(entry.level);
  const fields = Object.entries(entry).flatMap(([name, value]) =>
    HIDDEN.has(name)
      ? []
      : [`${name}=${typeof value === "string" && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value)}`],
  );
  const head = [
    paint(90, String(entry.time).slice(11, 23)),
    paint(COLORS[level] ?? 0, level.toUpperCase().padEnd(5)),
    String(entry.msg ?? ""),
    ...(fields.length === 0 ? [] : [paint(90, fields.join(" "))]),
  ];
  return `${head.join(" ")}\n${errorLines(entry.err)}`;
}

function parseEntry(line: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

/** The stack, then what caused it, and so on; a cause deeper than five is nobody's. */
function errorLines(error: unknown, depth = 0): string {
  if (error === undefined || error === null || depth > 5) return "";
  if (typeof error !== "object") return `    ${String(error)}\n`;
  const { stack, message, cause } = error as { stack?: unknown; message?: unknown; cause?: unknown };
  const text = typeof stack === "string" ? stack : String(message ?? JSON.stringify(error));
  const rows = text.split("\n").map((row, index) => `${index === 0 ? "    " : "      "}${row.trim()}\n`);
  return rows.join("") + errorLines(cause, depth + 1);
}
