/** `POST /convert`: a job, or with `?dry_run=true` the plan it would follow. */
import { Elysia } from "elysia";
import { type CHECKS, checkJob, submitJob } from "../../src/jobs/submit.ts";
import type { Job } from "../../src/jobs/types.ts";
import { answer, baseUrl, withDeadline } from "../answers.ts";
import { readJson } from "../body.ts";
import type { HttpContext } from "../context.ts";
import { idempotently } from "../idempotent.ts";
import { viewNewJob } from "../jobs/views.ts";
import { parseQuery } from "../query.ts";
import { API_PREFIX } from "../route-rule.ts";
import { originOf, principalOf } from "../state.ts";
import { convertQuerySchema } from "./convert.routes.ts";
import { toPlanView } from "./plan-view.ts";

const PLAN_TIMEOUT_MS = 30_000;

/** `POST /convert`, `POST /stream` and `POST /analyze` differ in their bodies alone. */
export async function createJob(context: HttpContext, request: Request, type: keyof typeof CHECKS): Promise<Response> {
  const { dry_run: dryRun } = parseQuery(request, convertQuerySchema);
  const { value, bytes } = await readJson(request, context.config.http.bodyLimitBytes);
  const principal = principalOf(request);
  const keyBase = `${baseUrl(context, request)}${API_PREFIX}/keys/`;
  if (dryRun) {
    const { spec } = await checkJob(context, principal, type, { body: value, keyBase });
    const plan = await withDeadline(request, PLAN_TIMEOUT_MS, (signal) => context.media.plan(spec, signal));
    return answer(200, toPlanView(plan, spec));
  }
  return idempotently(context, request, bytes, async (store) => {
    const location = ({ id }: Job): string => `${API_PREFIX}/jobs/${id}`;
    const job = await submitJob(context, principal, type, value, {
      keyBase,
      ...originOf(request),
      onCreated:
        store === null
          ? null
          : (tx, created) =>
              store(tx, { status: 201, body: viewNewJob(context, request, created), location: location(created) }),
    });
    return answer(201, viewNewJob(context, request, job), { location: location(job) });
  });
}

export const convertPlugin = (context: HttpContext) =>
  new Elysia({ name: "convert", prefix: API_PREFIX }).post(
    "/convert",
    ({ request }) => createJob(context, request, "convert"),
    {
      parse: "none",
    },
  );
