/**
 * Without keys whoever reaches the loopback address is the administrator, and a browser of this machine reaches it for every
 * page that it shows. So the request has to be for a name of this machine, which a page whose own name was made to lead here
 * (DNS rebinding) does not have, and must not come from a page of somebody else's.
 */
import type { HttpConfig } from "../src/config/config.ts";
import { RendiffError } from "../src/errors.ts";
import { makeAddressTest } from "../src/validation/addresses.ts";

const isLoopback = makeAddressTest(["127.0.0.0/8", "::1/128"]);

const isOfThisMachine = (hostname: string): boolean =>
  hostname === "localhost" || hostname.endsWith(".localhost") || isLoopback(hostname.replace(/^\[(.*)\]$/, "$1"));

function refuse(publicMessage: string): never {
  throw new RendiffError({ kind: "auth.forbidden", publicMessage });
}

/** Throws `auth.forbidden`. */
export function requireOwnPage(
  request: Request,
  { publicUrl, corsOrigins }: Pick<HttpConfig, "publicUrl" | "corsOrigins">,
): void {
  const { hostname, host } = new URL(request.url);
  if (!isOfThisMachine(hostname) && (publicUrl === null || new URL(publicUrl).hostname !== hostname)) {
    refuse("Without API keys this service answers to localhost and to the host of PUBLIC_URL only.");
  }
  const origin = request.headers.get("origin");
  if (origin !== null && corsOrigins.some((one) => one === "*" || one === origin)) return;
  const site = request.headers.get("sec-fetch-site") ?? "none";
  const isOwn = origin === null || (URL.canParse(origin) && new URL(origin).host === host);
  if (!isOwn || (site !== "none" && site !== "same-origin")) {
    refuse("Without API keys this service takes no requests of other pages than its own and those in CORS_ORIGINS.");
  }
}
