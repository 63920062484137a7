/** `/keys/{token}`: what players fetch to decrypt a package. */
import { Elysia } from "elysia";
import { findContentKey } from "../../src/jobs/content-keys.ts";
import { notFound } from "../answers.ts";
import type { HttpContext } from "../context.ts";
import { API_PREFIX } from "../route-rule.ts";

export const keys = (context: HttpContext) =>
  new Elysia({ name: "keys", prefix: API_PREFIX }).get("/keys/:token", async ({ params }) => {
    const key = await findContentKey(context.sql, params.token);
    if (key === null) throw notFound("key");
    return new Response(key.slice().buffer, {
      headers: { "content-type": "application/octet-stream", "cache-control": "private, no-store" },
    });
  });
