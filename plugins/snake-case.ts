/** Our own values with the names of the wire: `durationSeconds` is `duration_seconds` there. */

function snake(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Renames the keys of plain objects, at every depth, but for the contents of those named in `opaque`. */
export function toSnakeCase(value: unknown, opaque: readonly string[] = []): unknown {
  if (Array.isArray(value)) return value.map((item) => toSnakeCase(item, opaque));
  if (value === null || typeof value !== "object" || value instanceof Date) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [
      snake(name),
      opaque.includes(name) ? item : toSnakeCase(item, opaque),
    ]),
  );
}
