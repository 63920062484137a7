/** `webhook_url` and `webhook_events`, as every request that makes something takes them. */
import { z } from "zod";
import { RendiffError } from "../errors.ts";
import type { UrlGuard } from "../security/outbound/url-guard.ts";
import { invalidRequest } from "../validation/parse.ts";
import {
  toWebhookEvent,
  WEBHOOK_EVENT_ALIASES,
  WEBHOOK_EVENT_DEFAULTS,
  WEBHOOK_EVENTS,
  type WebhookEvent,
} from "./events.ts";

const URL_LENGTH_MAX = 2_048;
const NAMES = [...WEBHOOK_EVENTS, ...(Object.keys(WEBHOOK_EVENT_ALIASES) as (keyof typeof WEBHOOK_EVENT_ALIASES)[])];

export const webhookUrlField = z
  .string()
  .max(URL_LENGTH_MAX, `must have at most ${URL_LENGTH_MAX} characters`)
  .nullable()
  .optional()
  .describe("Where to be told of the job: an http(s) URL on the public internet.");

export const webhookFields = {
  webhook_url: webhookUrlField,
  webhook_events: z
    .array(z.enum(NAMES))
    .min(1)
    .max(NAMES.length)
    .nullable()
    .optional()
    .describe("completed and failed unless said otherwise; complete and error are other names of these."),
};

export interface WebhookRequest {
  readonly url: string;
  readonly events: readonly WebhookEvent[];
}

interface Fields {
  readonly webhook_url?: string | null | undefined;
  readonly webhook_events?: readonly (typeof NAMES)[number][] | null | undefined;
}

/** Null when nothing was asked for. */
export function webhookRequest({ webhook_url: url, webhook_events: events }: Fields): WebhookRequest | null {
  if (url === undefined || url === null) {
    if (events === undefined || events === null) return null;
    throw invalidRequest([{ path: "webhook_events", message: "needs a webhook_url to be sent to" }]);
  }
  return { url, events: [...new Set((events ?? WEBHOOK_EVENT_DEFAULTS).map(toWebhookEvent))] };
}

/** The URL as the guard writes it; what can be refused without a look-up of its name is refused here. */
export function checkWebhookUrl(guard: UrlGuard, url: string, path: string): string {
  try {
    return guard.check(url).href;
  } catch (error) {
    if (!(error instanceof RendiffError)) throw error;
    throw new RendiffError({
      kind: error.kind,
      publicMessage: error.publicMessage,
      details: [{ path, message: error.publicMessage }],
      cause: error,
    });
  }
}

export function checkWebhook(guard: UrlGuard, request: WebhookRequest | null): WebhookRequest | null {
  return request === null ? null : { ...request, url: checkWebhookUrl(guard, request.url, "webhook_url") };
}
