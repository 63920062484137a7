/** The document that clients are made from: valid, whole, and the same as what the app does. */
import { expect, test } from "bun:test";
import { openapiDocument } from "../../plugins/docs/openapi.ts";
import { ROUTES } from "../../plugins/routes.ts";
import { openTestDatabase } from "../faults/protocol-harness.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { makeTestHttp, testConfig } from "./http-harness.ts";

const { sql } = await openTestDatabase("pglite");
const root = await makeTempDir("http-openapi");

interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly { name: string; in: string; required: boolean; schema: object }[];
  readonly responses: Readonly<Record<string, { description: string }>>;
  readonly requestBody?: { content: Record<string, { schema: Record<string, unknown> }> };
}

const document = openapiDocument({ version: "1.2.3" }) as {
  openapi: string;
  info: { version: string };
  paths: Record<string, Record<string, Operation>>;
};
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
);

/** Every `$ref` and every `$schema` in the document. */
function collect(value: unknown, key: string): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => collect(item, key));
  if (value === null || typeof value !== "object") return [];
  return Object.entries(value).flatMap(([name, item]) =>
    name === key && typeof item === "string" ? [item] : collect(item, key),
  );
}

test("it is OpenAPI 3.1, with one operation for each route", () => {
  expect(document.openapi).toBe("3.1.0");
  expect(document.info.version).toBe("1.2.3");
  expect(operations.length).toBe(ROUTES.length);
  const ids = operations.map(({ operation }) => operation.operationId);
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) expect(id).toMatch(/^[a-z][A-Za-z]*$/);
});

test("every parameter of a path is declared, and only those", () => {
  for (const { path, operation } of operations) {
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    const declared = (operation.parameters ?? []).filter((parameter) => parameter.in === "path");
    expect(declared.map(({ name }) => name)).toEqual(inPath as string[]);
    for (const parameter of declared) expect(parameter.required).toBe(true);
    const names = (operation.parameters ?? []).map(({ name, in: place }) => `${place} ${name}`);
    expect(new Set(names).size).toBe(names.length);
  }
});

test("every operation has a good answer and the one shape of errors; references lead somewhere", () => {
  for (const { operation } of operations) {
    const statuses = Object.keys(operation.responses);
    expect(statuses.some((status) => /^[123]/.test(status))).toBe(true);
    expect(statuses).toContain("default");
    for (const { description } of Object.values(operation.responses)) expect(description.length).toBeGreaterThan(3);
  }
  expect(new Set(collect(document, "$ref"))).toEqual(new Set(["#/components/schemas/Error"]));
  expect(collect(document, "$schema")).toEqual([]);
});

test("a default makes a field optional in what clients send", () => {
  const { schema = {} } = document.paths["/api/v1/convert"]?.post?.requestBody?.content["application/json"] ?? {};
  expect(schema.required ?? []).toEqual([]);
  expect(schema.additionalProperties).toBe(false);
  expect(Object.keys(schema.properties as object)).toContain("input_path");
});

test("times are text and numbers of a query are numbers", () => {
  const list = document.paths["/api/v1/jobs"]?.get?.parameters ?? [];
  const schemaOf = (name: string): unknown => list.find((parameter) => parameter.name === name)?.schema;
  expect(schemaOf("created_after")).toMatchObject({ type: "string", format: "date-time" });
  expect(schemaOf("page_size")).toMatchObject({ type: "integer", maximum: 100 });
});

test("the page and the document are served, need no other host, and can be switched off", async () => {
  const http = makeTestHttp({ sql, root });
  const served = await http.call("GET", "http://localhost/openapi.json");
  expect(await served.json()).toEqual(JSON.parse(JSON.stringify(openapiDocument({ version: "0.0.0-test" }))));
  for (const path of ["http://localhost/docs", "/docs"]) {
    const page = await http.call("GET", path);
    expect(page.headers.get("content-type")).toContain("text/html");
    const html = await page.text();
    expect(html).not.toMatch(/https?:\/\//);
    expect(html).not.toContain("/*SCRIPT*/");
    const script = /<script>([\s\S]*)<\/script>/.exec(html)?.[1] ?? "";
    const hash = new Bun.CryptoHasher("sha256").update(script).digest("base64");
    expect(page.headers.get("content-security-policy")).toContain(`'sha256-${hash}'`);
    expect(() => new Function(script)).not.toThrow();
  }
  await http.app.close();
  const config = testConfig();
  const off = makeTestHttp({ sql, root, config: { ...config, http: { ...config.http, docs: false } } });
  expect((await off.call("GET", "http://localhost/docs")).status).toBe(404);
  expect((await off.call("GET", "http://localhost/openapi.json")).status).toBe(404);
  await off.app.close();
});
