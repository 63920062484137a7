/** `/docs` and `/openapi.json`: a page of our own that needs no network, and the document it shows. */
import { Elysia } from "elysia";
import { notFound } from "../answers.ts";
import type { HttpContext } from "../context.ts";
import { API_PREFIX } from "../route-rule.ts";
import page from "./page.html.txt" with { type: "text" };
import script from "./page.script.txt" with { type: "text" };
import style from "./page.style.txt" with { type: "text" };

function sourceHash(source: string): string {
  return `'sha256-${new Bun.CryptoHasher("sha256").update(source).digest("base64")}'`;
}

/** Only this very script and style may run, and they may only talk to this server. */
function contentPolicy(): string {
  return [
    "default-src 'none'",
    `script-src ${sourceHash(script)}`,
    `style-src ${sourceHash(style)}`,
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

export const docs = (context: HttpContext) => {
  const html = page.replace("/*STYLE*/", () => style).replace("/*SCRIPT*/", () => script);
  const policy = contentPolicy();
  // Made for whoever is the first to ask: it would take half of a start.
  let made: Promise<string> | null = null;
  const document = async (): Promise<string> => {
    const { openapiDocument } = await import("./openapi.ts");
    return JSON.stringify(openapiDocument({ version: context.version }));
  };
  const enabled = context.config.http.docs;
  const showPage = (): Response => {
    if (!enabled) throw notFound("page");
    return new Response(html, {
      headers: { "content-type": "text/html; charset=utf-8", "content-security-policy": policy },
    });
  };
  const showDocument = async (): Promise<Response> => {
    if (!enabled) throw notFound("page");
    made ??= document();
    return new Response(await made, { headers: { "content-type": "application/json" } });
  };
  return new Elysia({ name: "docs" })
    .get("/docs", showPage)
    .get(`${API_PREFIX}/docs`, showPage)
    .get("/openapi.json", showDocument)
    .get(`${API_PREFIX}/openapi.json`, showDocument);
};
