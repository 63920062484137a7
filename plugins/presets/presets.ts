/** `/presets`: named parts of specs. */
import { Elysia } from "elysia";
import {
  changePreset,
  createPreset,
  deletePreset,
  findPreset,
  listPresets,
  type StoredPreset,
} from "../../src/jobs/preset-store.ts";
import { checkPreset, newPresetSchema, presetChangeSchema } from "../../src/jobs/presets.ts";
import { parsePresetReference } from "../../src/media/presets/apply.ts";
import { parseRequest } from "../../src/validation/parse.ts";
import { answer, notFound } from "../answers.ts";
import { readEmptyBody, readJson } from "../body.ts";
import type { HttpContext } from "../context.ts";
import { idempotently } from "../idempotent.ts";
import { parseQuery } from "../query.ts";
import { API_PREFIX } from "../route-rule.ts";
import { principalOf } from "../state.ts";
import { type PresetView, presetQuerySchema } from "./presets.routes.ts";

const toView = (preset: StoredPreset): PresetView => ({
  name: preset.name,
  version: preset.version,
  description: preset.description,
  built_in: preset.builtIn,
  operations: preset.operations.map((operation) => ({ ...operation })),
  options: { ...preset.options },
  created_at: preset.createdAt?.toISOString() ?? null,
});

async function create(context: HttpContext, request: Request): Promise<Response> {
  const { value, bytes } = await readJson(request, context.config.http.bodyLimitBytes);
  const wanted = parseRequest(newPresetSchema, value);
  const principal = principalOf(request);
  checkPreset(context, principal, wanted.name, wanted);
  return idempotently(context, request, bytes, async (store) => {
    const location = `${API_PREFIX}/presets/${wanted.name}`;
    const view = await context.sql.transaction(async (tx) => {
      const made = toView(await createPreset(tx, principal.keyId, wanted));
      await store?.(tx, { status: 201, body: made, location });
      return made;
    });
    return answer(201, view, { location });
  });
}

async function get(context: HttpContext, request: Request, name: string): Promise<Response> {
  const { version } = parseQuery(request, presetQuerySchema);
  const reference = parsePresetReference(name);
  if (reference === null || reference.version !== null) throw notFound("preset");
  const wanted = { name: reference.name, version: version ?? null };
  const preset = await findPreset(context.sql, principalOf(request).keyId, wanted);
  if (preset === null || (version !== undefined && preset.version !== version)) throw notFound("preset");
  return answer(200, toView(preset));
}

async function change(context: HttpContext, request: Request, name: string): Promise<Response> {
  const { value } = await readJson(request, context.config.http.bodyLimitBytes);
  const wanted = parseRequest(presetChangeSchema, value);
  const principal = principalOf(request);
  const reference = parsePresetReference(name);
  if (reference === null || reference.version !== null) throw notFound("preset");
  checkPreset(context, principal, reference.name, wanted);
  const preset = await changePreset(context.sql, principal.keyId, reference.name, wanted);
  if (preset === null) throw notFound("preset");
  return answer(200, toView(preset));
}

async function remove(context: HttpContext, request: Request, name: string): Promise<Response> {
  await readEmptyBody(request, context.config.http.bodyLimitBytes);
  const reference = parsePresetReference(name);
  if (reference === null || reference.version !== null) throw notFound("preset");
  if (!(await deletePreset(context.sql, principalOf(request).keyId, reference.name))) throw notFound("preset");
  return new Response(null, { status: 204 });
}

export const presets = (context: HttpContext) =>
  new Elysia({ name: "presets", prefix: API_PREFIX })
    .get("/presets", async ({ request }) =>
      answer(200, { items: (await listPresets(context.sql, principalOf(request).keyId)).map(toView) }),
    )
    .post("/presets", ({ request }) => create(context, request), { parse: "none" })
    .get("/presets/:name", ({ request, params }) => get(context, request, params.name))
    .put("/presets/:name", ({ request, params }) => change(context, request, params.name), { parse: "none" })
    .delete("/presets/:name", ({ request, params }) => remove(context, request, params.name), { parse: "none" });
