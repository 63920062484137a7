/** `/jobs/{id}/webhooks` and `/webhooks/test`. */
import { Elysia } from "elysia";
import type { z } from "zod";
import { channels } from "../../src/coordination/ports.ts";
import { parseRequest } from "../../src/validation/parse.ts";
import { type Delivery, listDeliveries, redeliver, webhookSecrets } from "../../src/webhooks/deliveries.ts";
import { isDelivered, sendMessage } from "../../src/webhooks/send.ts";
import { checkWebhookUrl } from "../../src/webhooks/webhook.schema.ts";
import { answer, notFound } from "../answers.ts";
import { readEmptyBody, readJson } from "../body.ts";
import type { HttpContext } from "../context.ts";
import { requireJob } from "../jobs/jobs.ts";
import { API_PREFIX } from "../route-rule.ts";
import { principalOf } from "../state.ts";
import { type deliverySchema, testBodySchema } from "./webhooks.routes.ts";

function toView(delivery: Delivery): z.infer<typeof deliverySchema> {
  return {
    id: delivery.id,
    event: delivery.event,
    url: delivery.url,
    status: delivery.status,
    attempts: delivery.attempt,
    next_at: delivery.nextAt?.toISOString() ?? null,
    created_at: delivery.createdAt.toISOString(),
    ended_at: delivery.endedAt?.toISOString() ?? null,
    tries: [...delivery.tries],
  };
}

async function again(context: HttpContext, request: Request, jobId: string, deliveryId: string): Promise<Response> {
  await readEmptyBody(request, context.config.http.bodyLimitBytes);
  const job = await requireJob(context, request, jobId);
  const delivery = await redeliver(context.sql, { jobId: job.id, deliveryId });
  if (delivery === null) throw notFound("webhook");
  // Couriers look by themselves too, only later.
  await context.coordination.bus
    .publish(channels.webhooks, {})
    .catch((error: unknown) => context.logger.warn({ err: error }, "the courier was not told of a webhook"));
  return answer(200, toView(delivery));
}

async function sample(context: HttpContext, request: Request): Promise<Response> {
  const { value } = await readJson(request, context.config.http.bodyLimitBytes);
  const { url } = parseRequest(testBodySchema, value);
  const id = Bun.randomUUIDv7();
  const sent = await sendMessage(
    { guard: context.urlGuard, version: context.version },
    {
      id,
      url: checkWebhookUrl(context.urlGuard, url, "url"),
      body: { event: "webhook.test", timestamp: new Date().toISOString() },
      secrets: (await webhookSecrets(context.sql, principalOf(request).keyId)) ?? [],
    },
  );
  return answer(200, { delivered: isDelivered(sent), ...sent.made, webhook_id: id });
}

export const webhooks = (context: HttpContext) =>
  new Elysia({ name: "webhooks", prefix: API_PREFIX })
    .get("/jobs/:id/webhooks", async ({ request, params }) => {
      const job = await requireJob(context, request, params.id);
      return answer(200, { items: (await listDeliveries(context.sql, job.id)).map(toView) });
    })
    .post(
      "/jobs/:id/webhooks/:delivery/redeliver",
      ({ request, params }) => again(context, request, params.id, params.delivery),
      { parse: "none" },
    )
    .post("/webhooks/test", ({ request }) => sample(context, request), { parse: "none" });
