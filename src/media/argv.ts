/** From a step to the words of a command line: the last thing that happens to a plan. */
import { escapeOptionValue } from "./escape.ts";
import type { Arg } from "./types.ts";

function printArg(arg: Arg, workDir: string): string {
  if (typeof arg === "string") return arg;
  const { file, form = "url", prefix = "" } = arg;
  if (form === "url") return `${prefix}file:${workDir}/${file}`;
  if (form === "path") return `${prefix}${workDir}/${file}`;
  if (form === "option") return `${prefix}${escapeOptionValue(`${workDir}/${file}`)}`;
  // In a sequence's pattern a percent sign stands for itself when doubled; the only other one is ours, in `file`.
  return `${prefix}file:${workDir.replaceAll("%", "%%")}/${file}`;
}

/** A step's own arguments; `workDir` is where the program sees the attempt's work folder. */
export function printArgs(args: readonly Arg[], workDir: string): string[] {
  const folder = workDir.replace(/\/+$/, "");
  return args.map((arg) => printArg(arg, folder));
}
