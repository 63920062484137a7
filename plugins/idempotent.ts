/** The Idempotency-Key of a POST that creates something: begin, do, store the answer with what was done, or give back. */
import type { SqlRunner } from "../src/database/sql.ts";
import {
  type Answer,
  beginIdempotent,
  completeIdempotent,
  type IdempotencyHold,
  parseIdempotencyKey,
  releaseIdempotent,
} from "../src/idempotency/idempotency.ts";
import { sha256Hex } from "../src/security/digest.ts";
import { answerText } from "./answers.ts";
import type { HttpContext } from "./context.ts";
import { principalOf, stateOf } from "./state.ts";

/** Stores the answer inside the transaction that creates; absent when the client sent no key. */
export type StoreAnswer = (tx: SqlRunner, stored: Answer) => Promise<void>;

/**
 * Calls `work` once per key and body. `work` creates within one transaction and calls `store`, if there is one, with the
 * answer to keep; what it returns is this request's answer. When it throws, the key is free again.
 */
export async function idempotently(
  context: HttpContext,
  request: Request,
  body: Uint8Array,
  work: (store: StoreAnswer | null) => Promise<Response>,
): Promise<Response> {
  const header = request.headers.get("idempotency-key");
  if (header === null) return work(null);
  const { rule } = stateOf(request);
  const begun = await beginIdempotent(context.sql, {
    keyId: principalOf(request).keyId,
    idempotencyKey: parseIdempotencyKey(header),
    route: `${rule?.id ?? "none"} ${new URL(request.url).pathname}`,
    bodySha256: sha256Hex(body),
  });
  if (begun.outcome === "stored") {
    const { status, text, location } = begun.answer;
    const headers = { "idempotency-replayed": "true", ...(location === null ? {} : { location }) };
    return answerText(status, text, headers);
  }
  try {
    return await work((tx, stored) => completeIdempotent(tx, begun.hold, stored));
  } catch (error) {
    await giveBack(context, begun.hold);
    throw error;
  }
}

/** A key that cannot be given back now frees itself when its lock runs out; the first error is the one to report. */
async function giveBack(context: HttpContext, hold: IdempotencyHold): Promise<void> {
  await releaseIdempotent(context.sql, hold).catch((error: unknown) => {
    context.logger.warn({ err: error }, "an idempotency key could not be given back");
  });
}
