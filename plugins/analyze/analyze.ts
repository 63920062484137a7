/** `POST /analyze`: a measuring job, or with `?dry_run=true` the plan it would follow. */
import { Elysia } from "elysia";
import type { HttpContext } from "../context.ts";
import { createJob } from "../convert/convert.ts";
import { API_PREFIX } from "../route-rule.ts";

export const analyzePlugin = (context: HttpContext) =>
  new Elysia({ name: "analyze", prefix: API_PREFIX }).post(
    "/analyze",
    ({ request }) => createJob(context, request, "analyze"),
    { parse: "none" },
  );
