/**
 * The answer to an address that is over its limit, given before anything is done for its request: no route, no key, no
 * trace, no line in the log, and at once, so that the server goes on to the next. It is counted, and has the form and the
 * headers of every answer; what can be made of it beforehand is.
 */
import { makeAddressTest } from "../src/validation/addresses.ts";
import { corsHeaders, requestIdOf, SECURITY_HEADERS } from "./answer-headers.ts";
import { JSON_TYPE } from "./answers.ts";
import { addressBucket, clientAddress } from "./client-address.ts";
import type { HttpContext } from "./context.ts";
import { errorBody, HTTP_ERRORS } from "./errors.ts";
import { tooManyFromAddress, wholeSeconds } from "./gate.ts";
import { peerOf } from "./peers.ts";

/** Null: the request is to be handled. */
export type TurnAway = (request: Request) => Response | null;

const PLACE_OF_ID = "{id}";

export function makeTurnAway({ config, addressBlocks, metrics }: HttpContext): TurnAway {
  const isTrusted = makeAddressTest(config.http.trustedProxies);
  const origins = new Set(config.http.corsOrigins);
  const error = tooManyFromAddress(0);
  const { status } = HTTP_ERRORS[error.kind];
  const [before = "", after = ""] = JSON.stringify(errorBody(error, PLACE_OF_ID)).split(PLACE_OF_ID);
  // Copied by each answer.
  const headers = new Headers({ "content-type": JSON_TYPE, ...SECURITY_HEADERS });

  return (request) => {
    if (addressBlocks.size === 0) return null;
    const peer = peerOf(request)?.address ?? "127.0.0.1";
    const address = clientAddress(peer, request.headers.get("x-forwarded-for"), isTrusted);
    const blockedMs = addressBlocks.remainingMs(addressBucket(address));
    if (blockedMs <= 0) return null;
    const requestId = requestIdOf(request);
    headers.set("retry-after", String(wholeSeconds(blockedMs)));
    headers.set("x-request-id", requestId);
    const response = new Response(before + requestId + after, { status, headers });
    if (origins.size > 0) {
      for (const [name, value] of Object.entries(corsHeaders(origins, request))) response.headers.set(name, value);
    }
    metrics.requestTurnedAway({ method: request.method, status });
    return response;
  };
}
