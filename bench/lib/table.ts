/** The rows as people read them. */
import type { Row, Verdict } from "./verdict.ts";

const SAID: Record<Verdict, string> = {
  met: "met",
  edge: "within noise",
  missed: "MISSED",
  noisy: "too noisy",
  warning: "warning",
  shown: "",
};

const percent = (value: number | null): string => (value === null ? "" : `${(100 * value).toFixed(1)} %`);
const times = (value: number | null): string => (value === null ? "" : `${value.toFixed(3)}×`);

const HEAD = ["goal", "what", "baseline", "measured", "ratio", "CPU", "spread", "A/A", "limit", "verdict"];

export function formatTable(rows: readonly Row[]): string {
  const cells = rows.map((row) => [
    row.goal,
    row.what,
    row.baseline,
    row.measured,
    times(row.ratio),
    times(row.cpuRatio),
    percent(row.spread),
    percent(row.noise),
    row.limit,
    SAID[row.verdict],
  ]);
  const widths = HEAD.map((head, column) => Math.max(head.length, ...cells.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  return [line(HEAD), line(widths.map((width) => "-".repeat(width))), ...cells.map(line)].join("\n");
}
