/** The list's query: the schema's parameters, and any number of `metadata.{name}={value}`. */
import type { z } from "zod";
import { invalidRequest, parseRequest } from "../../src/validation/parse.ts";
import { readQuery } from "../query.ts";

const METADATA_PREFIX = "metadata.";
const METADATA_FILTERS_MAX = 10;

export function parseListQuery<Schema extends z.ZodType>(
  request: Request,
  schema: Schema,
): { readonly query: z.output<Schema>; readonly metadata: Readonly<Record<string, string>> } {
  const metadata: [string, string][] = [];
  const rest: [string, string | string[]][] = [];
  for (const [name, value] of Object.entries(readQuery(request))) {
    if (!name.startsWith(METADATA_PREFIX) || name.length === METADATA_PREFIX.length) rest.push([name, value]);
    else if (typeof value === "string") metadata.push([name.slice(METADATA_PREFIX.length), value]);
    else throw invalidRequest([{ path: name, message: "may be given once" }]);
  }
  if (metadata.length > METADATA_FILTERS_MAX) {
    throw invalidRequest([
      { path: "metadata", message: `at most ${METADATA_FILTERS_MAX} metadata filters are possible` },
    ]);
  }
  return { query: parseRequest(schema, Object.fromEntries(rest)), metadata: Object.fromEntries(metadata) };
}
