/** The rules of `/presets`. */
import { z } from "zod";
import { newPresetSchema, presetChangeSchema } from "../../src/jobs/presets.ts";
import type { RouteRule } from "../route-rule.ts";

const jsonObject = z.record(z.string(), z.unknown());

export const presetSchema = z.strictObject({
  name: z.string(),
  version: z.int().describe("Counts up with each change; name@version names just this one."),
  description: z.string(),
  built_in: z.boolean().describe("In every deployment, and not to be changed."),
  operations: z.array(jsonObject),
  options: jsonObject,
  created_at: z.iso.datetime().nullable().describe("Of this version."),
});
export type PresetView = z.infer<typeof presetSchema>;

export const presetsSchema = z.strictObject({ items: z.array(presetSchema) });

export const presetQuerySchema = z.strictObject({
  version: z.coerce.number().int().min(1).max(2_147_483_647).optional().describe("An earlier one; default the newest."),
});

const api = { at: "api", tag: "Presets" } as const;
const preset = { description: "The preset.", schema: presetSchema };

export const presetsRoutes: readonly RouteRule[] = [
  {
    ...api,
    id: "presets.list",
    method: "GET",
    path: "/presets",
    access: "readonly",
    summary: "List presets: the built-in ones and your own",
    answers: { 200: { description: "The newest version of each.", schema: presetsSchema } },
  },
  {
    ...api,
    id: "presets.create",
    method: "POST",
    path: "/presets",
    access: "user",
    summary: "Store a preset",
    description: "It is checked like a request, and planned for a sample.",
    idempotent: true,
    body: newPresetSchema,
    answers: { 201: preset },
  },
  {
    ...api,
    id: "presets.get",
    method: "GET",
    path: "/presets/:name",
    access: "readonly",
    summary: "Read a preset",
    query: presetQuerySchema,
    answers: { 200: preset },
  },
  {
    ...api,
    id: "presets.change",
    method: "PUT",
    path: "/presets/:name",
    access: "user",
    summary: "Store a preset's next version",
    description: "The earlier ones stay, for requests that name them and jobs that were made with them.",
    body: presetChangeSchema,
    answers: { 200: preset },
  },
  {
    ...api,
    id: "presets.delete",
    method: "DELETE",
    path: "/presets/:name",
    access: "user",
    summary: "Delete a preset",
    answers: { 204: { description: "It is gone; its versions can still be named." } },
  },
];
