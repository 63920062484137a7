/** Strict validation by the schemas of Kubernetes itself and of the operators whose resources we write. */
import { join } from "node:path";
import { z } from "zod";
import { testEnv } from "../support/env.ts";
import type { Resource } from "./manifests.ts";

/** What a cluster of this version would refuse, and what it does not know; empty when it takes everything. */
export async function refusedBy(version: string, text: string): Promise<string[]> {
  const argv = [
    "python3",
    "-m",
    "kubernetes_validate",
    "--strict",
    "--quiet",
    "--no-warn",
    "-k",
    version,
    "/dev/stdin",
  ];
  const child = Bun.spawn(argv, {
    stdin: new Blob([text]),
    stdout: "pipe",
    stderr: "pipe",
    env: { ...Bun.env, PYTHONPATH: join(testEnv().deploy, "python") },
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  const lines = `${stdout}${stderr}`.split("\n").filter((line) => line !== "");
  return code === 0 ? [] : lines.length > 0 ? lines : [`kubernetes-validate ended with ${code}`];
}

type Json = { readonly [key: string]: unknown };
const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Flags within a pattern are Go's: JavaScript has none. */
function isPattern(text: string): boolean {
  try {
    return new RegExp(text) instanceof RegExp;
  } catch {
    return false;
  }
}

/** An operator's schema says what is known; here what is not known is wrong too, as `kubectl apply` would warn. */
function strict(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(strict);
  if (!isObject(schema)) return schema;
  const inner = Object.fromEntries(
    Object.entries(schema)
      // Rules for a cluster's own engine, and words about the schema.
      .filter(([key]) => !key.startsWith("x-kubernetes-") && key !== "description" && key !== "format")
      .filter(([key, value]) => key !== "pattern" || isPattern(String(value)))
      .map(([key, value]) => [key, strict(value)]),
  );
  if (schema["x-kubernetes-int-or-string"] === true) return { anyOf: [{ type: "integer" }, { type: "string" }] };
  const open = schema["x-kubernetes-preserve-unknown-fields"] === true || "additionalProperties" in schema;
  return isObject(schema.properties) && !open ? { ...inner, additionalProperties: false } : inner;
}

const definition = z.looseObject({
  spec: z.looseObject({
    group: z.string(),
    names: z.looseObject({ kind: z.string() }),
    versions: z.array(
      z.looseObject({
        name: z.string(),
        schema: z.looseObject({ openAPIV3Schema: z.looseObject({ properties: z.record(z.string(), z.unknown()) }) }),
      }),
    ),
  }),
});

/** Of every custom resource that we may write, by `group/version/Kind`. */
export async function customSchemas(): Promise<Map<string, z.ZodType>> {
  const folder = join(testEnv().deploy, "crds");
  const schemas = new Map<string, z.ZodType>();
  for await (const file of new Bun.Glob("*.yaml").scan(folder)) {
    const [document] = [Bun.YAML.parse(await Bun.file(join(folder, file)).text())].flat();
    const { spec } = definition.parse(document);
    for (const { name, schema } of spec.versions) {
      const spoken = strict(schema.openAPIV3Schema.properties.spec);
      schemas.set(`${spec.group}/${name}/${spec.names.kind}`, z.fromJSONSchema(spoken as z.core.JSONSchema.JSONSchema));
    }
  }
  return schemas;
}

export const isCustom = ({ apiVersion }: Resource): boolean => /^(keda\.sh|monitoring\.coreos\.com)\//.test(apiVersion);
