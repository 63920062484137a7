/** `/metrics`, in the text format of Prometheus. */
import { Elysia } from "elysia";
import type { HttpContext } from "../context.ts";
import { API_PREFIX } from "../route-rule.ts";

export const metrics = (context: HttpContext) => {
  const scrape = async (): Promise<Response> =>
    new Response(await context.metrics.render(), {
      headers: { "content-type": context.metrics.contentType },
    });
  return new Elysia({ name: "metrics" }).get("/metrics", scrape).get(`${API_PREFIX}/metrics`, scrape);
};
