/**
 * What the schema describes and this version cannot do yet. Refused by name when it is asked for, so that nobody
 * believes in a setting that changes nothing. Whoever builds a thing deletes its line.
 */
import type { ConfigProblem } from "./config-error.ts";
import type { SettingName } from "./schema.ts";

/** `any`: given at all. A list: these values only. */
type Refusal = "any" | readonly string[];

const NOT_BUILT: Partial<Record<SettingName, Refusal>> = {
  UPLOAD_LIMIT: "any",
  RETENTION_UPLOADS: "any",
};

/** `values` are the parsed settings that were given; defaults are not looked at. */
export function findNotBuilt(values: Readonly<Partial<Record<SettingName, unknown>>>): ConfigProblem[] {
  return (Object.entries(NOT_BUILT) as [SettingName, Refusal][]).flatMap(([name, refusal]) => {
    const given = values[name];
    // An empty list asks for nothing.
    if (given === undefined || (Array.isArray(given) && given.length === 0)) return [];
    const value = String(given);
    if (refusal === "any") return [{ name, message: "is not available in this version" }];
    return refusal.includes(value) ? [{ name, message: `${value} is not available in this version` }] : [];
  });
}

/** What the documentation adds to a setting's meaning; null when nothing is missing. */
export function notBuiltNote(name: SettingName): string | null {
  const refusal = NOT_BUILT[name];
  if (refusal === undefined) return null;
  return `${refusal === "any" ? "" : `${refusal.join(" and ")} `}not available in this version`;
}
