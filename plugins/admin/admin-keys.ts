/** `/admin/api-keys`: making, changing, rotating and revoking keys, each on record. */
import { Elysia } from "elysia";
import { channels } from "../../src/coordination/ports.ts";
import { changeKey, keyChangesSchema, rotateKey, rotationSchema } from "../../src/security/change-keys.ts";
import { keyPropertiesSchema } from "../../src/security/keys.schema.ts";
import { type ApiKey, createKey, getKey, listKeys, revokeKey } from "../../src/security/keys.ts";
import { parseRequest } from "../../src/validation/parse.ts";
import { answer, conflict, notFound } from "../answers.ts";
import { audit } from "../audited.ts";
import { readEmptyBody, readJson } from "../body.ts";
import type { HttpContext } from "../context.ts";
import { idempotently } from "../idempotent.ts";
import { parseQuery } from "../query.ts";
import { API_PREFIX } from "../route-rule.ts";
import { principalOf } from "../state.ts";
import { type ApiKeyView, keyListQuerySchema } from "./admin.routes.ts";

const isoOrNull = (date: Date | null): string | null => (date === null ? null : date.toISOString());

function toKeyView(key: ApiKey): ApiKeyView {
  return {
    id: key.id,
    name: key.name,
    role: key.role,
    allowed_operations: key.allowedOperations === null ? null : [...key.allowedOperations],
    read_backends: key.readBackends === null ? null : [...key.readBackends],
    write_backends: key.writeBackends === null ? null : [...key.writeBackends],
    rate_limit: key.rateLimitPerMinute,
    max_concurrent_jobs: key.maxConcurrentJobs,
    weight: key.weight,
    monthly_limit_minutes: key.monthlyLimitMinutes,
    created_at: key.createdAt.toISOString(),
    expires_at: isoOrNull(key.expiresAt),
    revoked_at: isoOrNull(key.revokedAt),
    last_used_at: isoOrNull(key.lastUsedAt),
  };
}

async function create(context: HttpContext, request: Request): Promise<Response> {
  const { value, bytes } = await readJson(request, context.config.http.bodyLimitBytes);
  const properties = parseRequest(keyPropertiesSchema, value);
  const location = ({ apiKey }: { apiKey: ApiKey }): string => `${API_PREFIX}/admin/api-keys/${apiKey.id}`;
  return idempotently(context, request, bytes, async (store) => {
    const created = await context.sql.transaction(async (tx) => {
      const made = await createKey(tx, properties);
      await audit(context, request, tx, { action: "key.created", target: made.apiKey.id, data: properties });
      // The secret is not kept: a repeated request gets the answer without it.
      const kept = { ...toKeyView(made.apiKey), key: null, webhook_secret: null };
      await store?.(tx, { status: 201, body: kept, location: location(made) });
      return made;
    });
    const view = { ...toKeyView(created.apiKey), key: created.key, webhook_secret: created.webhookSecret };
    return answer(201, view, { location: location(created) });
  });
}

async function list(context: HttpContext, request: Request): Promise<Response> {
  const { limit, before } = parseQuery(request, keyListQuerySchema);
  const keys = await listKeys(context.sql, { limit, ...(before === undefined ? {} : { before }) });
  const last = keys.at(-1);
  return answer(200, {
    items: keys.map(toKeyView),
    next_before: keys.length === limit && last !== undefined ? last.id : null,
  });
}

async function revoke(context: HttpContext, request: Request, id: string): Promise<Response> {
  if (id.toLowerCase() === principalOf(request).keyId) throw conflict("A key cannot revoke itself.");
  await readEmptyBody(request, context.config.http.bodyLimitBytes);
  const key = await context.sql.transaction(async (tx) => {
    const revoked = await revokeKey(tx, id);
    if (revoked !== null) await audit(context, request, tx, { action: "key.revoked", target: revoked.id });
    return revoked;
  });
  if (key === null) throw notFound("key");
  await tellChanged(context, key);
  return answer(200, toKeyView(key));
}

/** Replicas drop what they remember of it, and whoever is connected by it has to come again. */
async function tellChanged(context: HttpContext, key: ApiKey): Promise<void> {
  const { coordination, logger } = context;
  // Without the message others remember it for seconds at most; the change itself is made.
  await coordination.bus
    .publish(channels.keys, { key_id: key.id })
    .catch((error: unknown) => logger.warn({ err: error }, "replicas were not told of a changed key"));
}

async function change(context: HttpContext, request: Request, id: string): Promise<Response> {
  if (id.toLowerCase() === principalOf(request).keyId) throw conflict("A key cannot change its own properties.");
  const { value } = await readJson(request, context.config.http.bodyLimitBytes);
  const changes = parseRequest(keyChangesSchema, value);
  const key = await context.sql.transaction(async (tx) => {
    const changed = await changeKey(tx, id, changes);
    if (changed !== null)
      await audit(context, request, tx, { action: "key.changed", target: changed.id, data: changes });
    return changed;
  });
  if (key === null) throw notFound("key");
  await tellChanged(context, key);
  return answer(200, toKeyView(key));
}

async function rotate(context: HttpContext, request: Request, id: string): Promise<Response> {
  const { value, bytes } = await readJson(request, context.config.http.bodyLimitBytes);
  const rotation = parseRequest(rotationSchema, value);
  return idempotently(context, request, bytes, async (store) => {
    const graceUntil = new Date(Date.now() + rotation.grace_period * 1_000).toISOString();
    const rotated = await context.sql.transaction(async (tx) => {
      const made = await rotateKey(tx, id, rotation);
      if (made === null) return null;
      await audit(context, request, tx, { action: "key.rotated", target: made.apiKey.id, data: rotation });
      const kept = { ...toKeyView(made.apiKey), key: null, webhook_secret: null, grace_until: graceUntil };
      await store?.(tx, { status: 200, body: kept, location: null });
      return made;
    });
    if (rotated === null) throw notFound("key");
    const { apiKey, key, webhookSecret } = rotated;
    await tellChanged(context, apiKey);
    return answer(200, { ...toKeyView(apiKey), key, webhook_secret: webhookSecret, grace_until: graceUntil });
  });
}

export const adminKeys = (context: HttpContext) =>
  new Elysia({ name: "admin-keys", prefix: `${API_PREFIX}/admin/api-keys` })
    .post("", ({ request }) => create(context, request), { parse: "none" })
    .get("", ({ request }) => list(context, request))
    .get("/:id", async ({ params }) => {
      const key = await getKey(context.sql, params.id);
      if (key === null) throw notFound("key");
      return answer(200, toKeyView(key));
    })
    .patch("/:id", ({ request, params }) => change(context, request, params.id), { parse: "none" })
    .post("/:id/rotate", ({ request, params }) => rotate(context, request, params.id), { parse: "none" })
    .delete("/:id", ({ request, params }) => revoke(context, request, params.id), { parse: "none" });
