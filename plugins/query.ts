/** Query strings as objects for a schema: a name that comes several times is a list. */

import { z } from "zod";
import { RendiffError } from "../src/errors.ts";
import { parseRequest } from "../src/validation/parse.ts";
import { isStorableText } from "./body.ts";

const PARAMETERS_MAX = 100;

/** A flag of a query string. */
export const booleanQuery = z
  .enum(["true", "false", "1", "0"])
  .default("false")
  .transform((text) => text === "true" || text === "1");

export type QueryValues = Record<string, string | string[]>;

export function readQuery(request: Request): QueryValues {
  const values: QueryValues = Object.create(null);
  if (!request.url.includes("?")) return values;
  let count = 0;
  for (const [name, value] of new URL(request.url).searchParams) {
    if (++count > PARAMETERS_MAX || !isStorableText(name) || !isStorableText(value)) {
      throw new RendiffError({ kind: "request.invalid", publicMessage: "The query string is not valid." });
    }
    const earlier = values[name];
    if (earlier === undefined) values[name] = value;
    else values[name] = [...(Array.isArray(earlier) ? earlier : [earlier]), value];
  }
  return values;
}

export function parseQuery<Schema extends z.ZodType>(request: Request, schema: Schema): z.output<Schema> {
  return parseRequest(schema, { ...readQuery(request) });
}
