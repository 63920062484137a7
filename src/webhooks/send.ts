/** One try: sign, send through the guard, read a bounded part of the answer, and judge it. Never throws. */
import { RendiffError } from "../errors.ts";
import { type GuardedResponse, guardedRequest } from "../security/outbound/guarded-request.ts";
import type { UrlGuard } from "../security/outbound/url-guard.ts";
import type { DeliveryOutcome, DeliveryTry } from "./deliveries.ts";
import { webhookHeaders } from "./sign.ts";

const TIMEOUT_MS = 10_000;
/** What is read of an answer, and what is kept of that. */
const ANSWER_BYTES_MAX = 16 * 1024;
const SHOWN_CHARACTERS_MAX = 500;
const RETRY_AFTER_MS_MAX = 24 * 3_600_000;
const BASE_MS = 5_000;
const CAP_MS = 2 * 3_600_000;

export interface Message {
  readonly id: string;
  readonly url: string;
  readonly body: unknown;
  readonly secrets: readonly string[];
  /** W3C Trace Context, for the receiver to go on in; none when null. */
  readonly traceparent?: string | null;
}

export interface SendPorts {
  readonly guard: UrlGuard;
  readonly version: string;
  readonly timeoutMs?: number;
}

export interface Sent {
  readonly made: DeliveryTry;
  /** From `Retry-After`; null when there was none. */
  readonly retryAfterMs: number | null;
}

/** Stops reading where the limit is: what a receiver has to say fits, and the rest is never in memory. */
async function readStart({ body }: GuardedResponse): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    chunks.push(chunk as Buffer);
    size += (chunk as Buffer).byteLength;
    if (size >= ANSWER_BYTES_MAX) break;
  }
  // NUL cannot be stored, and a cut character is none.
  return Buffer.concat(chunks)
    .toString("utf8")
    .replaceAll(/[\0\uFFFD]/g, "")
    .slice(0, SHOWN_CHARACTERS_MAX)
    .toWellFormed();
}

/** Seconds or a date (RFC 9110, 10.2.3). */
export function parseRetryAfter(text: string | undefined, nowMs: number): number | null {
  if (text === undefined) return null;
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs;
  return Number.isNaN(ms) ? null : Math.min(RETRY_AFTER_MS_MAX, Math.max(0, ms));
}

/** For the client whose receiver it is: no address of ours, no path, no stack. */
function reasonOf(error: unknown, timedOut: boolean): string {
  if (timedOut) return "The receiver did not answer in time.";
  if (error instanceof RendiffError) return error.publicMessage;
  const code = (error as { code?: unknown } | null)?.code;
  if (code === "ECONNREFUSED") return "The receiver refused the connection.";
  if (code === "ECONNRESET" || code === "EPIPE") return "The receiver closed the connection.";
  if (typeof code === "string" && /CERT|TLS|SSL|SIGNATURE/.test(code))
    return "The receiver's certificate is not valid.";
  return "The receiver could not be reached.";
}

export async function sendMessage(ports: SendPorts, message: Message): Promise<Sent> {
  const at = new Date();
  const startedMs = performance.now();
  const timeoutMs = ports.timeoutMs ?? TIMEOUT_MS;
  const signal = AbortSignal.timeout(timeoutMs);
  const result = (fields: Pick<DeliveryTry, "status" | "body" | "error">, retryAfterMs: number | null): Sent => ({
    made: { at: at.toISOString(), duration_ms: Math.round(performance.now() - startedMs), ...fields },
    retryAfterMs,
  });
  const body = JSON.stringify(message.body);
  if (message.secrets.length === 0) {
    return result(
      { status: null, body: null, error: "This key has no webhook secret; rotate the key to get one." },
      null,
    );
  }
  try {
    const response = await guardedRequest(ports.guard, {
      url: message.url,
      method: "POST",
      headers: {
        ...webhookHeaders({ id: message.id, at, body, secrets: message.secrets }),
        "user-agent": `Rendiff/${ports.version}`,
        ...(message.traceparent == null ? {} : { traceparent: message.traceparent }),
        "content-length": String(Buffer.byteLength(body)),
      },
      body: Buffer.from(body),
      redirectsMax: 0,
      headersTimeoutMs: timeoutMs,
      signal,
    });
    const retryAfterMs = parseRetryAfter(response.headers["retry-after"], Date.now());
    try {
      return result({ status: response.status, body: await readStart(response), error: null }, retryAfterMs);
    } catch {
      // The status line was the answer; a body that breaks off changes nothing about it.
      return result({ status: response.status, body: null, error: null }, retryAfterMs);
    } finally {
      response.body.on("error", () => {});
      response.body.destroy();
    }
  } catch (error) {
    return result({ status: null, body: null, error: reasonOf(error, signal.aborted) }, null);
  }
}

export const isDelivered = ({ made }: Sent): boolean => made.status !== null && made.status >= 200 && made.status < 300;

/** The delay before the try after the `attempt`-th: doubling, with half of it jitter. */
export function deliveryBackoffMs(attempt: number, random: number, baseMs = BASE_MS): number {
  const ceiling = Math.min(CAP_MS, baseMs * 2 ** Math.min(20, attempt - 1));
  return ceiling * (0.5 + random / 2);
}

/** What follows from a try. A receiver's `Retry-After` counts where it asks for more patience than we would have. */
export function judge(sent: Sent, attempt: number, random: number, baseMs?: number): DeliveryOutcome {
  if (isDelivered(sent)) return { status: "delivered" };
  if (sent.made.status === 410) return { status: "failed", gone: true };
  return { status: "pending", delayMs: Math.max(deliveryBackoffMs(attempt, random, baseMs), sent.retryAfterMs ?? 0) };
}
