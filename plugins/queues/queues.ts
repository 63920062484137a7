/** `/admin/queues`: what waits, and pausing and resuming of classes. */
import { Elysia } from "elysia";
import { listPauses, pauseClasses, resumeClasses } from "../../src/jobs/pauses.ts";
import { queueStats, readyHints } from "../../src/jobs/ready.ts";
import { PRIORITIES, type Priority } from "../../src/jobs/types.ts";
import { parseRequest } from "../../src/validation/parse.ts";
import { answer } from "../answers.ts";
import { readJson } from "../body.ts";
import type { HttpContext } from "../context.ts";
import { API_PREFIX } from "../route-rule.ts";
import { principalOf } from "../state.ts";
import { queueChoiceSchema } from "./queues.routes.ts";

const HINTS_MAX = 1_000;

async function view({ sql }: HttpContext): Promise<Response> {
  const [{ byPriority }, pauses] = await Promise.all([queueStats(sql), listPauses(sql)]);
  const items = PRIORITIES.map((priority) => ({
    priority,
    ready: byPriority[priority].ready,
    delayed: byPriority[priority].delayed,
    oldest_wait_seconds: byPriority[priority].oldestWaitSeconds,
    paused_at: pauses.find((pause) => pause.priority === priority)?.pausedAt.toISOString() ?? null,
  }));
  return answer(200, { items });
}

async function chosen(context: HttpContext, request: Request): Promise<readonly Priority[]> {
  const { value } = await readJson(request, context.config.http.bodyLimitBytes);
  return parseRequest(queueChoiceSchema, value).priorities;
}

async function pause(context: HttpContext, request: Request): Promise<Response> {
  await pauseClasses(context.sql, await chosen(context, request), principalOf(request).keyId);
  return view(context);
}

async function resume(context: HttpContext, request: Request): Promise<Response> {
  const { sql, coordination, logger } = context;
  await resumeClasses(sql, await chosen(context, request));
  // The hints of a paused class were taken and dropped: without new ones its jobs would wait for the reconciler.
  const hints = await readyHints(sql, { limit: HINTS_MAX });
  await coordination.readyQueue
    .add(hints)
    .catch((error: unknown) => logger.warn({ err: error }, "hints of resumed jobs were not queued"));
  return view(context);
}

export const queues = (context: HttpContext) =>
  new Elysia({ name: "queues", prefix: `${API_PREFIX}/admin` })
    .get("/queues", () => view(context))
    .post("/queues/pause", ({ request }) => pause(context, request), { parse: "none" })
    .post("/queues/resume", ({ request }) => resume(context, request), { parse: "none" });
