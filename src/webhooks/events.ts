/** Which events a client can ask to be told of. */

export const WEBHOOK_EVENTS = ["started", "progress", "completed", "failed", "cancelled"] as const;
export type WebhookEvent = (typeof WEBHOOK_EVENTS)[number];

export const WEBHOOK_EVENT_DEFAULTS: readonly WebhookEvent[] = ["completed", "failed"];

/** The names that the earlier API also took. */
export const WEBHOOK_EVENT_ALIASES = { complete: "completed", error: "failed" } as const;

export function toWebhookEvent(name: WebhookEvent | keyof typeof WEBHOOK_EVENT_ALIASES): WebhookEvent {
  return name === "complete" || name === "error" ? WEBHOOK_EVENT_ALIASES[name] : name;
}
