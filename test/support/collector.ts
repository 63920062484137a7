/** A receiver of OTLP over HTTP on a loopback port: what came, as a collector would read it. */
import { gunzipSync } from "node:zlib";
import { afterFile } from "./cleanup.ts";

type Value = { readonly stringValue?: string; readonly intValue?: number | string; readonly boolValue?: boolean };

interface Attribute {
  readonly key: string;
  readonly value: Value;
}

export interface CollectedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly status: { readonly code?: number; readonly message?: string };
  readonly attributes: Readonly<Record<string, unknown>>;
  /** Of the process that sent it. */
  readonly resource: Readonly<Record<string, unknown>>;
}

interface Post {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export interface Collector {
  /** Without a slash at the end. */
  readonly url: string;
  readonly posts: readonly Post[];
  /** Of every post that was JSON. */
  spans(): CollectedSpan[];
}

const toRecord = (attributes: readonly Attribute[]): Record<string, unknown> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));

interface OtlpJson {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeSpans: readonly {
      readonly spans: readonly (Omit<CollectedSpan, "attributes" | "resource"> & { attributes: Attribute[] })[];
    }[];
  }[];
}

const spansOf = ({ body }: Post): CollectedSpan[] =>
  (JSON.parse(body.toString()) as OtlpJson).resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({
        ...span,
        attributes: toRecord(span.attributes),
        resource: toRecord(resource.attributes),
      })),
    ),
  );

export function startCollector(): Collector {
  const posts: Post[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const bytes = Buffer.from(await request.arrayBuffer());
      const zipped = request.headers.get("content-encoding") === "gzip";
      posts.push({
        path: new URL(request.url).pathname,
        headers: Object.fromEntries(request.headers),
        body: zipped ? gunzipSync(bytes) : bytes,
      });
      return new Response(request.headers.get("content-type") === "application/json" ? "{}" : new Uint8Array());
    },
  });
  afterFile(() => server.stop(true));
  return {
    url: `http://127.0.0.1:${server.port}`,
    posts,
    spans: () => posts.filter(({ headers }) => headers["content-type"] === "application/json").flatMap(spansOf),
  };
}
