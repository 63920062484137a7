/** `POST /convert`: a job, or with `?dry_run=true` the plan it would follow. */
import { Elysia } from "elysia";
import { checkConvert, submitConvert } from "../../src/jobs/submit.ts";
import { answer, withDeadline } from "../answers.ts";
import { readJson } from "../body.ts";
import type { HttpContext } from "../context.ts";
import { idempotently } from "../idempotent.ts";
import { viewNewJob } from "../jobs/views.ts";
import { parseQuery } from "../query.ts";
import { API_PREFIX } from "../route-rule.ts";
import { principalOf, stateOf } from "../state.ts";
import { convertQuerySchema } from "./convert.routes.ts";
import { toPlanView } from "./plan-view.ts";

const PLAN_TIMEOUT_MS = 30_000;

async function convert(context: HttpContext, request: Request): Promise<Response> {
  const { dry_run: dryRun } = parseQuery(request, convertQuerySchema);
  const { value, bytes } = await readJson(request, context.config.http.bodyLimitBytes);
  const principal = principalOf(request);
  if (dryRun) {
    const { spec } = checkConvert(context, principal, value);
    const plan = await withDeadline(request, PLAN_TIMEOUT_MS, (signal) => context.media.plan(spec, signal));
    return answer(200, toPlanView(plan, spec));
  }
  return idempotently(context, request, bytes, async (store) => {
    const job = await submitConvert(context, principal, value, {
      requestId: stateOf(request).requestId,
      onCreated:
        store === null
          ? null
          : (tx, created) => store(tx, { status: 201, body: viewNewJob(context, request, created) }),
    });
    return answer(201, viewNewJob(context, request, job), { location: `${API_PREFIX}/jobs/${job.id}` });
  });
}

export const convertPlugin = (context: HttpContext) =>
  new Elysia({ name: "convert", prefix: API_PREFIX }).post("/convert", ({ request }) => convert(context, request), {
    parse: "none",
  });
