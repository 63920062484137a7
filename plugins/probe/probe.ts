/** `POST /probe`. */
import { Elysia } from "elysia";
import { checkProbe } from "../../src/jobs/submit.ts";
import { parseRequest } from "../../src/validation/parse.ts";
import { answer, withDeadline } from "../answers.ts";
import { readJson } from "../body.ts";
import type { HttpContext } from "../context.ts";
import { API_PREFIX } from "../route-rule.ts";
import { toSnakeCase } from "../snake-case.ts";
import { principalOf } from "../state.ts";
import { probeBodySchema } from "./probe.routes.ts";

const PROBE_TIMEOUT_MS = 30_000;

export const probe = (context: HttpContext) =>
  new Elysia({ name: "probe", prefix: API_PREFIX }).post(
    "/probe",
    async ({ request }) => {
      const { value } = await readJson(request, context.config.http.bodyLimitBytes);
      const body = parseRequest(probeBodySchema, value);
      const ref = await checkProbe(context, principalOf(request), body);
      const media = await withDeadline(request, PROBE_TIMEOUT_MS, (signal) => context.media.probe(ref, signal));
      return answer(200, toSnakeCase(media, ["tags"]));
    },
    { parse: "none" },
  );
