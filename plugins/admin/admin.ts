/** `/admin`: what the fleet does, and who did what. Keys are beside it. */
import { Elysia } from "elysia";
import { adminFigures } from "../../src/jobs/admin-figures.ts";
import { cleanUp, countExpired } from "../../src/jobs/cleanup.ts";
import { queueStats } from "../../src/jobs/ready.ts";
import { listStorageUsage, storedBytes } from "../../src/jobs/storage-usage.ts";
import { readHistory } from "../../src/jobs/system-metrics.ts";
import { listWorkers } from "../../src/jobs/workers.ts";
import { listAudit } from "../../src/security/audit.ts";
import { answer } from "../answers.ts";
import { audit } from "../audited.ts";
import { readEmptyBody } from "../body.ts";
import type { HttpContext } from "../context.ts";
import { parseQuery } from "../query.ts";
import { API_PREFIX } from "../route-rule.ts";
import { toSnakeCase } from "../snake-case.ts";
import { auditQuerySchema, cleanupQuerySchema, statsQuerySchema } from "./admin.routes.ts";

async function auditPage(context: HttpContext, request: Request): Promise<Response> {
  const { limit, before, action, actor } = parseQuery(request, auditQuerySchema);
  const rows = await listAudit(context.sql, {
    ...{ limit, ...(before === undefined ? {} : { before }) },
    ...(action === undefined ? {} : { action }),
    ...(actor === undefined ? {} : { actor }),
  });
  const last = rows.at(-1);
  return answer(200, {
    items: rows.map((row) => ({ ...(toSnakeCase(row, ["data"]) as object), at: row.at.toISOString() })),
    next_before: rows.length === limit && last !== undefined ? last.seq : null,
  });
}

async function stats(context: HttpContext, request: Request): Promise<Response> {
  const { history_hours: hours } = parseQuery(request, statsQuerySchema);
  const { byPriority, processing } = await queueStats(context.readSql);
  const { ended, webhooks, outputBytes } = await adminFigures(context.readSql);
  const history = await readHistory(context.readSql, hours);
  return answer(200, {
    queue: toSnakeCase(byPriority),
    ...{ processing, ended_24h: ended, webhooks: toSnakeCase(webhooks), output_bytes: outputBytes },
    connections: context.connections.size,
    history: history.map(({ at, ...point }) => ({ at: at.toISOString(), ...(toSnakeCase(point) as object) })),
  });
}

async function cleanup(context: HttpContext, request: Request): Promise<Response> {
  const { dry_run: dryRun } = parseQuery(request, cleanupQuerySchema);
  await readEmptyBody(request, context.config.http.bodyLimitBytes);
  const { queue } = context.config;
  if (dryRun) return answer(200, { dry_run: true, ...(toSnakeCase(await countExpired(context, queue)) as object) });
  const counts = toSnakeCase(await cleanUp(context, queue)) as Record<string, unknown>;
  await context.sql.transaction((tx) => audit(context, request, tx, { action: "cleanup", target: null, data: counts }));
  return answer(200, { dry_run: false, ...counts });
}

const ACCOUNTS_MAX = 100;

async function storage(context: HttpContext): Promise<Response> {
  const [totals, accounts] = await Promise.all([
    storedBytes(context.readSql),
    listStorageUsage(context.readSql, { limit: ACCOUNTS_MAX }),
  ]);
  const backends = await Promise.all(
    context.storage.names.map(async (name) => {
      const backend = context.storage.backend(name);
      const { type, readable, writable } = backend.properties;
      const total = totals.find((one) => one.backend === name);
      return {
        ...{ name, type, readable, writable },
        // A store that is away has no figure to show; the rest of the answer does not depend on it.
        free_bytes: await backend.freeBytes().catch(() => null),
        ...{ size_bytes: total?.sizeBytes ?? 0, object_count: total?.objectCount ?? 0 },
      };
    }),
  );
  return answer(200, { backends, keys: toSnakeCase(accounts) });
}

/** The rows say who is there, the replicas themselves what lives in them. */
async function workers(context: HttpContext): Promise<Response> {
  const rows = await listWorkers(context.readSql, context.config.queue.reapAfterTicks);
  const replicas = await context.askReplicas(rows.filter(({ alive }) => alive).map(({ id }) => id));
  const items = rows.map((row) => ({
    ...(toSnakeCase(row) as object),
    actors: replicas.find(({ workerId }) => workerId === row.id)?.actors ?? null,
  }));
  const others = replicas.filter(({ workerId }) => !rows.some(({ id }) => id === workerId));
  return answer(200, {
    items,
    others: others.map(({ id, role, version, actors }) => ({ id, role, version, actors })),
  });
}

export const admin = (context: HttpContext) =>
  new Elysia({ name: "admin", prefix: `${API_PREFIX}/admin` })
    .get("/audit", ({ request }) => auditPage(context, request))
    .post("/cleanup", ({ request }) => cleanup(context, request), { parse: "none" })
    .get("/stats", ({ request }) => stats(context, request))
    .get("/storage", () => storage(context))
    .get("/workers", () => workers(context));
