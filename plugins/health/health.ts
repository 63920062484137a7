/** `/health`, `/health/live` and `/health/ready`, at the root and below the API. */
import { Elysia } from "elysia";
import { answer } from "../answers.ts";
import type { HttpContext } from "../context.ts";
import { API_PREFIX } from "../route-rule.ts";
import { makeHealth } from "./check.ts";

export const health = (context: HttpContext) => {
  const check = makeHealth(context.healthChecks, context.version);
  const full = async (): Promise<Response> => {
    const result = await check();
    return answer(result.status === "unhealthy" ? 503 : 200, result);
  };
  const live = (): Response => answer(200, { status: "live", version: context.version });
  const ready = (): Response => {
    const { ready: isReady, reasons } = context.readiness();
    return answer(isReady ? 200 : 503, { status: isReady ? "ready" : "not_ready", reasons: [...reasons] });
  };
  const app = new Elysia({ name: "health" });
  for (const prefix of ["", API_PREFIX]) {
    app.get(`${prefix}/health`, full).get(`${prefix}/health/live`, live).get(`${prefix}/health/ready`, ready);
  }
  return app;
};
