/**
 * Signing as Standard Webhooks says (https://www.standardwebhooks.com, "Signature scheme"): HMAC-SHA256 over
 * `{id}.{timestamp}.{body}`. After a rotation both secrets sign, so that a receiver accepts whichever it has.
 */
import { Webhook } from "standardwebhooks";

export interface SignedMessage {
  /** The same at every try, so that a receiver recognises what it has seen. */
  readonly id: string;
  readonly at: Date;
  /** Exactly the bytes that are sent. */
  readonly body: string;
  /** Newest first, never empty; `whsec_…`. */
  readonly secrets: readonly string[];
}

export function webhookHeaders({ id, at, body, secrets }: SignedMessage): Readonly<Record<string, string>> {
  return {
    "content-type": "application/json",
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(at.getTime() / 1000)),
    "webhook-signature": secrets.map((secret) => new Webhook(secret).sign(id, at, body)).join(" "),
  };
}
