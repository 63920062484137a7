/**
 * The OpenAPI 3.1 document, made from the routes' rules and their schemas; needs no server.
 */
import { z } from "zod";
import { errorAnswerSchema } from "../errors.ts";
import { type Access, API_PREFIX, type RouteRule } from "../route-rule.ts";
import { ROUTES } from "../routes.ts";

type JsonObject = Record<string, unknown>;

/** `input`: what a client may send (a default makes a field optional); `output`: what it gets. */
function toSchema(schema: z.ZodType, io: "input" | "output"): JsonObject {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: "any", override: describeDates });
  return rest;
}

/** A transformed time is text on the wire. */
function describeDates({ zodSchema, jsonSchema }: { zodSchema: z.core.$ZodTypes; jsonSchema: JsonObject }): void {
  if (zodSchema._zod.def.type === "date") Object.assign(jsonSchema, { type: "string", format: "date-time" });
}

function pathParameters(path: string): JsonObject[] {
  return [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
}

function queryParameters(rule: RouteRule): JsonObject[] {
  if (rule.query === undefined) return [];
  const schema = toSchema(rule.query, "input") as { properties?: Record<string, JsonObject>; required?: string[] };
  return Object.entries(schema.properties ?? {}).map(([name, { description, ...property }]) => ({
    name,
    in: "query",
    required: (schema.required ?? []).includes(name),
    ...(description === undefined ? {} : { description }),
    schema: property,
  }));
}

function headerParameters(rule: RouteRule): JsonObject[] {
  return Object.entries(rule.headers ?? {}).map(([name, description]) => ({
    ...{ name, in: "header", required: false, description, schema: { type: "string" } },
  }));
}

function requestBody({ body, bodyType }: RouteRule): JsonObject {
  if (bodyType !== undefined) {
    const bytes = { schema: { type: "string", format: "binary" } };
    return { requestBody: { required: false, content: { [bodyType]: bytes } } };
  }
  if (body === undefined) return {};
  return { requestBody: { required: true, content: { "application/json": { schema: toSchema(body, "input") } } } };
}

const idempotencyParameter: JsonObject = {
  name: "Idempotency-Key",
  in: "header",
  required: false,
  description: "The same key and body within 24 hours give the stored answer.",
  schema: { type: "string", minLength: 1, maxLength: 255 },
};

function errorRef(description: string): JsonObject {
  return { description, content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } } };
}

function answers(rule: RouteRule): JsonObject {
  const described = Object.entries(rule.answers).map(([status, { description, schema, mediaType }]) => {
    const type = mediaType ?? (schema === undefined ? null : "application/json");
    const body = schema === undefined ? { schema: { type: "string" } } : { schema: toSchema(schema, "output") };
    return [status, { description, ...(type === null ? {} : { content: { [type]: body } }) }] as const;
  });
  const guarded = rule.access !== "public" && rule.access !== "metrics";
  const errors: [string, JsonObject][] = [
    ["400", errorRef("The request is not valid.")],
    ...(guarded ? [["401", errorRef("No valid key.")] as [string, JsonObject]] : []),
    ["403", errorRef("Not allowed.")],
    ["404", errorRef("There is no such thing.")],
    ...(rule.method === "GET" ? [] : [["409", errorRef("The state of things forbids it.")] as [string, JsonObject]]),
    ["422", errorRef("This deployment cannot do that.")],
    ["429", errorRef("Too many requests.")],
  ];
  return { ...Object.fromEntries(errors), ...Object.fromEntries(described), default: errorRef("Any other error.") };
}

function security(access: Access): JsonObject[] {
  return access === "public" || access === "metrics" || access === "signed" ? [] : [{ key: [] }, { bearer: [] }];
}

function operation(rule: RouteRule): JsonObject {
  const parameters = [
    ...pathParameters(rule.path),
    ...queryParameters(rule),
    ...headerParameters(rule),
    ...(rule.idempotent === true ? [idempotencyParameter] : []),
  ];
  return {
    operationId: rule.id.replaceAll(/[.-](\w)/g, (_, letter: string) => letter.toUpperCase()),
    tags: [rule.tag],
    summary: rule.summary,
    ...(rule.description === undefined ? {} : { description: rule.description }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...requestBody(rule),
    responses: answers(rule),
    security: security(rule.access),
  };
}

export interface OpenapiOptions {
  readonly version: string;
  /** Where the API lies; relative to the document by default. */
  readonly serverUrl?: string;
}

export function openapiDocument({ version, serverUrl = "/" }: OpenapiOptions): JsonObject {
  const paths: Record<string, JsonObject> = {};
  for (const rule of ROUTES) {
    const prefix = rule.at === "both" ? "" : API_PREFIX;
    const path = `${prefix}${rule.path}`.replaceAll(/:(\w+)/g, "{$1}");
    paths[path] = { ...paths[path], [rule.method.toLowerCase()]: operation(rule) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Rendiff",
      version,
      description: "FFmpeg behind a REST and WebSocket API.",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: serverUrl }],
    tags: [...new Set(ROUTES.map((rule) => rule.tag))].map((name) => ({
      name,
    })),
    paths,
    components: {
      schemas: { Error: toSchema(errorAnswerSchema, "output") },
      securitySchemes: {
        key: { type: "apiKey", in: "header", name: "X-API-Key" },
        bearer: { type: "http", scheme: "bearer" },
      },
    },
  };
}
