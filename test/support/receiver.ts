/**
 * A receiver of webhooks on a loopback port, which answers as it is told. It verifies signatures by itself: HMAC-SHA256 as
 * the specification says, without the library that signed.
 */
import { createHmac } from "node:crypto";
import { afterFile } from "./cleanup.ts";

export interface Received {
  readonly id: string;
  readonly body: Record<string, unknown>;
  /** How many of the given secrets the signatures belong to. */
  readonly verified: number;
  readonly signatures: number;
  readonly at: number;
}

export interface Receiver {
  readonly url: string;
  readonly received: Received[];
  secrets: readonly string[];
  /** Default 204. `turn` counts from 1. */
  answer(turn: number, received: Received): Response | Promise<Response>;
  stop(): Promise<void>;
}

function signatureOf(secret: string, signed: string): string {
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  return `v1,${createHmac("sha256", key).update(signed).digest("base64")}`;
}

export function startReceiver(secrets: readonly string[] = [], answer?: Receiver["answer"]): Receiver {
  const received: Received[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 60,
    async fetch(request) {
      const text = await request.text();
      const id = request.headers.get("webhook-id") ?? "";
      const signed = `${id}.${request.headers.get("webhook-timestamp")}.${text}`;
      const signatures = (request.headers.get("webhook-signature") ?? "").split(" ");
      const one: Received = {
        ...{ id, body: JSON.parse(text), at: performance.now(), signatures: signatures.length },
        verified: receiver.secrets.filter((secret) => signatures.includes(signatureOf(secret, signed))).length,
      };
      received.push(one);
      return receiver.answer(received.length, one);
    },
  });
  const receiver: Receiver = {
    url: `http://127.0.0.1:${server.port}/hook`,
    received,
    secrets,
    answer: answer ?? (() => new Response(null, { status: 204 })),
    stop: () => server.stop(true),
  };
  afterFile(() => server.stop(true));
  return receiver;
}
