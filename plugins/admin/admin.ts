/** `/admin`: keys, and what the fleet does. */
import { Elysia } from "elysia";
import { channels } from "../../src/coordination/ports.ts";
import { queueStats } from "../../src/jobs/ready.ts";
import { listWorkers } from "../../src/jobs/workers.ts";
import { keyPropertiesSchema } from "../../src/security/keys.schema.ts";
import { type ApiKey, createKey, getKey, listKeys, revokeKey } from "../../src/security/keys.ts";
import { parseRequest } from "../../src/validation/parse.ts";
import { answer, conflict, notFound } from "../answers.ts";
import { readJson } from "../body.ts";
import type { HttpContext } from "../context.ts";
import { idempotently } from "../idempotent.ts";
import { parseQuery } from "../query.ts";
import { API_PREFIX } from "../route-rule.ts";
import { toSnakeCase } from "../snake-case.ts";
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
  return idempotently(context, request, bytes, async (store) => {
    const created = await context.sql.transaction(async (tx) => {
      const made = await createKey(tx, properties);
      // The secret is not kept: a repeated request gets the answer without it.
      const kept = { ...toKeyView(made.apiKey), key: null, webhook_secret: null };
      await store?.(tx, { status: 201, body: kept });
      return made;
    });
    const view = { ...toKeyView(created.apiKey), key: created.key, webhook_secret: created.webhookSecret };
    return answer(201, view, { location: `${API_PREFIX}/admin/api-keys/${created.apiKey.id}` });
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
  const key = await revokeKey(context.sql, id);
  if (key === null) throw notFound("key");
  await context.coordination.bus.publish(channels.keys, { key_id: key.id });
  return answer(200, toKeyView(key));
}

async function stats(context: HttpContext): Promise<Response> {
  const { byPriority, processing } = await queueStats(context.readSql);
  return answer(200, { queue: toSnakeCase(byPriority), processing, connections: context.connections.size });
}

export const admin = (context: HttpContext) =>
  new Elysia({ name: "admin", prefix: `${API_PREFIX}/admin` })
    .post("/api-keys", ({ request }) => create(context, request), { parse: "none" })
    .get("/api-keys", ({ request }) => list(context, request))
    .get("/api-keys/:id", async ({ params }) => {
      const key = await getKey(context.sql, params.id);
      if (key === null) throw notFound("key");
      return answer(200, toKeyView(key));
    })
    .delete("/api-keys/:id", ({ request, params }) => revoke(context, request, params.id), { parse: "none" })
    .get("/stats", () => stats(context))
    .get("/workers", async () =>
      answer(200, { items: toSnakeCase(await listWorkers(context.readSql, context.config.queue.reapAfterTicks)) }),
    );
