/**
 * Requests that nobody sends in good faith, made from the OpenAPI document: one hostile value in one place of an otherwise
 * plain request, for every place that there is. Values are JSON texts, since some of them no value of JavaScript can hold.
 */

type Schema = Readonly<Record<string, unknown>>;

interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
}

interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
}

export interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

export interface HostileRequest {
  readonly id: string;
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

const TEXTS: readonly string[] = [
  ...[
    "",
    " ",
    "\0",
    "a\0b",
    "\u{1F4A5}".repeat(20_000),
    "a".repeat(100_000),
    "e\u0301".repeat(1_000),
    "\u202e\u2066evil",
  ],
  ...["\r\nX-Injected: 1", "\u0001\u001b[2J\u007f\u0085\u2028", "\ufeff\ufffe\uffff", "\uff21\u0130\u00df", "a\tb\vc"],
  ...[`${"../".repeat(20)}etc/passwd`, "/etc/passwd", "../canary", "..\\..\\canary", "a/../../canary", "./canary/."],
  ...[
    "local:///../canary",
    "local://%2e%2e/%2e%2e/canary",
    "local:////etc/passwd",
    "file:///etc/passwd",
    "a/".repeat(2_000),
  ],
  ...[
    "http://[::1]/",
    "http://127.1/",
    "http://169.254.169.254/",
    "http://0x7f.1/",
    "http://a@b:c@d/",
    "http://\u2488:80/",
  ],
  ...["concat:/etc/passwd|x", "subfile,,start,0,end,9,,:/etc/passwd", "data:text/plain,x", "upload://../../canary"],
  ...["-i", "--", "out.mp4\n-i /etc/passwd", ".rendiff-x", "con.mp4", "a:b=c,d;[e]'f'", "%{pts}", "movie=/etc/passwd"],
  ...["'; DROP TABLE jobs; --", "$(id)", "`id`", "{{7*7}}", "%s%n%x", "<script>alert(1)</script>", "*"],
  ...[
    "__proto__",
    "constructor",
    "toString",
    "NaN",
    "Infinity",
    "1e400",
    "0x10",
    "00000000-0000-0000-0000-000000000000",
  ],
];

const quoted = (text: string): string => JSON.stringify(text);
const nested = (depth: number): string => `${"[".repeat(depth)}${"]".repeat(depth)}`;

/** JSON texts, and what only looks like one. */
const VALUES: readonly string[] = [
  ...TEXTS.map(quoted),
  ...['"\\ud800"', '"\\udfff\\ud800"', '"\\u0000"'],
  ...["0", "-0", "-1", "1e400", "-1e400", "1e-400", "9007199254740993", "2147483648", "-2147483649", "0.1e-7"],
  ...["18446744073709551616", "1.7976931348623157e308", `1${"0".repeat(400)}`, "-9e99", "1.5"],
  ...["null", "true", "[]", "{}", "[null]", '{"":""}', '{"a":1,"a":[]}', '{"type":"trim","type":"scale"}'],
  ...['{"__proto__":{"role":"admin"}}', '{"constructor":{"prototype":{}}}', `[${"0,".repeat(10_000)}0]`],
  ...[nested(60), nested(70), nested(5_000), nested(200_000), `${'{"a":'.repeat(5_000)}1${"}".repeat(5_000)}`],
  `{${Array.from({ length: 5_000 }, (_, n) => `"k${n}":${n}`).join(",")}}`,
  ...["NaN", "undefined", "01", "'a'", "[1,]", '{"a":1,}', '"\t"', '"\\x41"', ""],
];

/** What a plain request says where its schema leaves it open. */
const PLAIN: Readonly<Record<string, unknown>> = {
  ...{ input_path: "in.mp4", output_path: "out.mp4", reference_path: "in.mp4", distorted_path: "in.mp4" },
  ...{ url: "http://127.0.0.1:9/", name: "plain", text: "plain", path: "in.srt", image: "in.png" },
};
const UUID = "019a0000-0000-7000-8000-000000000000";

const asSchema = (value: unknown): Schema => (typeof value === "object" && value !== null ? (value as Schema) : {});
const propertiesOf = (schema: Schema): [string, Schema][] =>
  Object.entries(asSchema(schema.properties)).map(([name, one]) => [name, asSchema(one)]);
const choicesOf = (schema: Schema): Schema[] => ((schema.anyOf ?? schema.oneOf ?? []) as unknown[]).map(asSchema);

/** The least that its schema takes. */
function plain(schema: Schema, name = ""): unknown {
  if ("const" in schema) return schema.const;
  if (Array.isArray(schema.enum)) return schema.enum[0];
  const [choice] = choicesOf(schema);
  if (choice !== undefined) return plain(choice, name);
  if (schema.type === "object" || schema.properties !== undefined) {
    const required = new Set((schema.required ?? []) as string[]);
    const wanted = propertiesOf(schema).filter(([one]) => required.has(one) || one in PLAIN);
    return Object.fromEntries(wanted.map(([one, inner]) => [one, plain(inner, one)]));
  }
  if (schema.type === "array") {
    return Array.from({ length: Number(schema.minItems ?? 0) }, () => plain(asSchema(schema.items)));
  }
  if (schema.type === "boolean") return true;
  if (schema.type === "number" || schema.type === "integer")
    return schema.default ?? Math.max(1, Number(schema.minimum ?? 1));
  if (schema.format === "uuid") return UUID;
  return PLAIN[name] ?? schema.default ?? "a".repeat(Math.max(1, Number(schema.minLength ?? 1)));
}

/** Stands for the hostile value until the body is text. */
const HERE = "\u0002here\u0002";

/** The plain value with HERE in one place: one for each place. */
function places(schema: Schema, name = ""): unknown[] {
  const found: unknown[] = [HERE];
  const base = plain(schema, name);
  for (const [one, inner] of propertiesOf(schema)) {
    for (const value of places(inner, one)) found.push({ ...asSchema(base), [one]: value });
  }
  if (schema.type === "object") found.push({ ...asSchema(base), unknown_field: HERE });
  const values = asSchema(schema.additionalProperties);
  if (Object.keys(values).length > 0) for (const value of places(values)) found.push({ ...asSchema(base), any: value });
  if (schema.items !== undefined) for (const value of places(asSchema(schema.items))) found.push([value]);
  for (const choice of choicesOf(schema)) found.push(...places(choice, name));
  return found;
}

const bodyWith = (place: unknown, value: string): string =>
  JSON.stringify(place).replace(JSON.stringify(HERE), () => value);

/** As a header may hold it. */
const headerText = (text: string): string => text.replaceAll(/[^\x21-\x7e]/g, "?").slice(0, 4_000);
const encode = (text: string): string => encodeURIComponent(text.toWellFormed());

function withParameter(
  operation: Operation,
  method: string,
  template: string,
  wanted: Parameter,
  text: string,
): HostileRequest {
  let path = template;
  const headers: Record<string, string> = {};
  const query: string[] = [];
  for (const parameter of operation.parameters ?? []) {
    const chosen = parameter.name === wanted.name && parameter.in === wanted.in;
    if (parameter.in === "path")
      path = path.replace(`{${parameter.name}}`, chosen ? encode(text).slice(0, 8_000) : UUID);
    else if (chosen && parameter.in === "query") query.push(`${parameter.name}=${encode(text).slice(0, 8_000)}`);
    else if (chosen) headers[parameter.name] = headerText(text);
  }
  const id = `${operation.operationId} ${wanted.in} ${wanted.name}`;
  return { id, method, path: query.length === 0 ? path : `${path}?${query.join("&")}`, headers, body: null };
}

export interface Place {
  readonly values: readonly string[];
  request(value: string): HostileRequest;
}

/** Every place of every operation, with the values that can stand there. */
export function hostilePlaces(document: OpenApi): Place[] {
  const found: Place[] = [];
  for (const [template, operations] of Object.entries(document.paths)) {
    for (const [verb, operation] of Object.entries(operations)) {
      const method = verb.toUpperCase();
      for (const wanted of operation.parameters ?? []) {
        found.push({ values: TEXTS, request: (text) => withParameter(operation, method, template, wanted, text) });
      }
      const schema = operation.requestBody?.content["application/json"]?.schema;
      if (schema === undefined) continue;
      const path = template.replaceAll(/\{\w+\}/g, UUID);
      for (const place of places(schema)) {
        found.push({
          values: VALUES,
          request: (value) => ({
            ...{ id: `${operation.operationId} ${JSON.stringify(place).slice(0, 200)}`, method, path },
            ...{ headers: { "content-type": "application/json" }, body: bodyWith(place, value) },
          }),
        });
      }
    }
  }
  return found;
}
