/**
 * From untrusted JSON to validated values: one place turns zod's issues into `request.invalid` with paths as a client
 * writes them (`operations[0].crf`) and, for a field that does not exist, the nearest one that does.
 */
import { z } from "zod";
import { type ErrorDetail, RendiffError } from "../errors.ts";
import { nearestName } from "./nearest.ts";

/** More would help nobody and could be made large on purpose. */
export const DETAILS_MAX = 20;
const SHOWN_NAME_LENGTH = 60;

type Issue = z.core.$ZodIssue;

export function formatPath(path: readonly PropertyKey[]): string {
  let text = "";
  for (const part of path) {
    if (typeof part === "number") text += `[${part}]`;
    else text += text === "" ? String(part) : `.${String(part)}`;
  }
  return text;
}

/** A client's own text inside a message: short and printable. */
export function quoteForMessage(text: string): string {
  const printable = text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, "�");
  return JSON.stringify(printable.length > SHOWN_NAME_LENGTH ? `${printable.slice(0, SHOWN_NAME_LENGTH)}…` : printable);
}

function unwrap(schema: unknown): unknown {
  let current = schema;
  for (let depth = 0; depth < 10; depth++) {
    const definition = (current as { def?: Record<string, unknown> } | undefined)?.def;
    const inner = definition?.innerType ?? definition?.in;
    if (inner === undefined) return current;
    current = inner;
  }
  return current;
}

/** The names that the object at `path` may have; empty when the schema does not say. */
function knownNames(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  let current = unwrap(schema);
  for (const part of path) {
    if (current instanceof z.ZodObject) current = unwrap(current.shape[String(part)]);
    else if (current instanceof z.ZodArray) current = unwrap(current.element);
    else return [];
  }
  return current instanceof z.ZodObject ? Object.keys(current.shape) : [];
}

/** One detail for a field that does not exist. */
export function unknownField(path: readonly PropertyKey[], name: string, known: readonly string[]): ErrorDetail {
  const near = nearestName(name, known);
  const hint = near === null ? "" : `; did you mean ${near}?`;
  return {
    path: formatPath([...path, name.slice(0, SHOWN_NAME_LENGTH)]),
    message: `there is no field ${quoteForMessage(name)} here${hint}`,
  };
}

function toDetails(schema: z.ZodType, issue: Issue): ErrorDetail[] {
  if (issue.code === "unrecognized_keys") {
    const known = knownNames(schema, issue.path);
    // Looking for the nearest name takes time, and a body may have a hundred thousand unknown ones.
    return issue.keys.slice(0, DETAILS_MAX).map((name) => unknownField(issue.path, name, known));
  }
  return [{ path: formatPath(issue.path), message: issue.message }];
}

export function invalidRequest(details: readonly ErrorDetail[], cause?: unknown): RendiffError {
  const [first] = details;
  const sentence =
    first === undefined
      ? "The request is not valid."
      : `${first.path === "" ? "The request" : `The field ${quoteForMessage(first.path)}`} is not valid: ${first.message}.`;
  return new RendiffError({
    kind: "request.invalid",
    publicMessage: sentence,
    details: details.slice(0, DETAILS_MAX),
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Returns the parsed value or throws `request.invalid` with every problem. */
export function parseRequest<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw invalidRequest(result.error.issues.flatMap((issue) => toDetails(schema, issue)));
}
