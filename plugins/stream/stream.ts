/** `POST /stream`: a packaging job, or with `?dry_run=true` the plan it would follow. */
import { Elysia } from "elysia";
import type { HttpContext } from "../context.ts";
import { createJob } from "../convert/convert.ts";
import { API_PREFIX } from "../route-rule.ts";

export const streamPlugin = (context: HttpContext) =>
  new Elysia({ name: "stream", prefix: API_PREFIX }).post(
    "/stream",
    ({ request }) => createJob(context, request, "stream"),
    { parse: "none" },
  );
