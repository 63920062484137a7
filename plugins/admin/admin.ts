/** `/admin`: what the fleet does, and who did what. Keys are beside it. */
import { Elysia } from "elysia";
import { queueStats } from "../../src/jobs/ready.ts";
import { listWorkers } from "../../src/jobs/workers.ts";
import { listAudit } from "../../src/security/audit.ts";
import { answer } from "../answers.ts";
import type { HttpContext } from "../context.ts";
import { parseQuery } from "../query.ts";
import { API_PREFIX } from "../route-rule.ts";
import { toSnakeCase } from "../snake-case.ts";
import { auditQuerySchema } from "./admin.routes.ts";

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

async function stats(context: HttpContext): Promise<Response> {
  const { byPriority, processing } = await queueStats(context.readSql);
  return answer(200, { queue: toSnakeCase(byPriority), processing, connections: context.connections.size });
}

export const admin = (context: HttpContext) =>
  new Elysia({ name: "admin", prefix: `${API_PREFIX}/admin` })
    .get("/audit", ({ request }) => auditPage(context, request))
    .get("/stats", () => stats(context))
    .get("/workers", async () =>
      answer(200, { items: toSnakeCase(await listWorkers(context.readSql, context.config.queue.reapAfterTicks)) }),
    );
