import { expect, test } from "bun:test";
import { z } from "zod";
import type { ErrorDetail, RendiffError } from "../errors.ts";
import { nearestName } from "./nearest.ts";
import { formatPath, parseRequest } from "./parse.ts";

function failure(schema: z.ZodType, value: unknown): RendiffError {
  try {
    parseRequest(schema, value);
  } catch (error) {
    return error as RendiffError;
  }
  throw new Error("it was accepted");
}

const details = (schema: z.ZodType, value: unknown): readonly ErrorDetail[] => failure(schema, value).details;

test("the nearest known name is offered, and no wild guess", () => {
  const known = ["input_path", "output_path", "operations", "priority"];
  expect(nearestName("input_pth", known)).toBe("input_path");
  expect(nearestName("inputPath", known)).toBe("input_path");
  expect(nearestName("operatoins", known)).toBe("operations");
  expect(nearestName("prioritty", known)).toBe("priority");
  expect(nearestName("zebra", known)).toBeNull();
  expect(nearestName("x".repeat(100_000), known)).toBeNull();
});

test("paths are written as clients write them", () => {
  expect(formatPath(["operations", 0, "crf"])).toBe("operations[0].crf");
  expect(formatPath([])).toBe("");
});

const schema = z.strictObject({
  name: z.string(),
  options: z.strictObject({ faststart: z.boolean().optional() }).default({}),
  items: z.array(z.strictObject({ width: z.int() })).optional(),
});

test("an unknown field is refused at its place, with the nearest name there", () => {
  expect(details(schema, { name: "a", options: { fastart: true } })).toEqual([
    { path: "options.fastart", message: 'there is no field "fastart" here; did you mean faststart?' },
  ]);
  expect(details(schema, { name: "a", items: [{ width: 1, widht: 2 }] })).toEqual([
    { path: "items[0].widht", message: 'there is no field "widht" here; did you mean width?' },
  ]);
});

test("hostile names are shown short and printable", () => {
  const [detail] = details(schema, { name: "a", ["\u202eevil\n".repeat(1_000)]: 1 });
  expect(detail?.message.length).toBeLessThan(200);
  expect(detail?.message).not.toMatch(/[\p{C}]/u);
});

test("every problem is reported, up to a limit", () => {
  expect(details(schema, { options: { faststart: 3 } }).map(({ path }) => path)).toEqual(["name", "options.faststart"]);
  const many = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`unknown${index}`, 1]));
  expect(details(schema, { name: "a", ...many }).length).toBe(20);
});
