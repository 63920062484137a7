/** `POST /tokens`. */
import { Elysia } from "elysia";
import { signReadToken } from "../../src/security/read-tokens.ts";
import { parseRequest } from "../../src/validation/parse.ts";
import { answer } from "../answers.ts";
import { readJson } from "../body.ts";
import type { HttpContext } from "../context.ts";
import { requireJob } from "../jobs/jobs.ts";
import { API_PREFIX } from "../route-rule.ts";
import { principalOf } from "../state.ts";
import { tokenBodySchema } from "./tokens.routes.ts";

async function create(context: HttpContext, request: Request): Promise<Response> {
  const { value } = await readJson(request, context.config.http.bodyLimitBytes);
  const { job_id: jobId, ttl_seconds: ttlSeconds } = parseRequest(tokenBodySchema, value);
  const job = jobId === undefined ? null : await requireJob(context, request, jobId);
  const expiresAt = new Date((Math.floor(Date.now() / 1000) + ttlSeconds) * 1000);
  const token = signReadToken(context.signingSecret, {
    ...{ keyId: principalOf(request).keyId, jobId: job?.id ?? null, expiresAt },
  });
  return answer(201, { token, expires_at: expiresAt.toISOString() });
}

export const tokens = (context: HttpContext) =>
  new Elysia({ name: "tokens", prefix: API_PREFIX }).post("/tokens", ({ request }) => create(context, request), {
    parse: "none",
  });
