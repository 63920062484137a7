/**
 * The storage backends of a deployment: what STORAGE_CONFIG's YAML names, and the one S3, Azure and Google backend that
 * plain variables describe.
 *
 * The file holds no secrets: it names the variables that do (`secret_access_key_env: ARCHIVE_SECRET`), so that it can be
 * kept with the deployment. Without them the platform's own chain is asked.
 */
import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { z } from "zod";
import type { BackendConfig } from "./config.ts";
import type { ConfigProblem } from "./config-error.ts";
import { httpUrl, toAbsolute } from "./kinds.ts";

const FILE = "STORAGE_CONFIG";
/** Schemes with a meaning of their own. */
const RESERVED = ["local", "http", "https", "upload", "file", "gs"];

const name = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, "must be up to 32 lower-case letters, digits and dashes");
const variable = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "must be the name of an environment variable");
const endpoint = z.string().refine((text) => httpUrl.parse(text) !== undefined, `must be ${httpUrl.expects}`);
const bucket = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{1,220}$/, "must be a bucket's name")
  .nullable()
  .default(null);
const prefix = z
  .string()
  .regex(/^(?!.*(^|\/)\.{0,2}(\/|$))[^\\]*$|^$/, 'must be a path without "." and ".." and without slashes at its ends')
  .default("");

const common = { bucket, prefix, read: z.boolean().default(true), write: z.boolean().default(true) };

const s3 = z.strictObject({
  ...common,
  type: z.literal("s3"),
  endpoint: endpoint.nullable().default(null),
  region: z.string().min(1).nullable().default(null),
  access_key_id_env: variable.nullable().default(null),
  secret_access_key_env: variable.nullable().default(null),
  virtual_hosts: z.boolean().optional(),
  conditional_writes: z.boolean().optional(),
  checksums: z.boolean().default(true),
  drops_unnamed_parts: z.boolean().optional(),
});

const azure = z.strictObject({
  ...common,
  type: z.literal("azure"),
  container: bucket,
  account_url: endpoint.nullable().default(null),
  connection_string_env: variable.nullable().default(null),
  sas_env: variable.nullable().default(null),
});

const gcs = z.strictObject({
  ...common,
  type: z.literal("gcs"),
  endpoint: endpoint.nullable().default(null),
  credentials_file: z.string().min(1).nullable().default(null),
  conditional_writes: z.boolean().default(true),
});

const local = z.strictObject({
  type: z.literal("local"),
  path: z.string().min(1),
  read: common.read,
  write: common.write,
});

const backend = z.discriminatedUnion("type", [s3, azure, gcs, local]);
const fileSchema = z.strictObject({ backends: z.record(name, backend) });
type Given = z.infer<typeof backend>;

export interface StorageFileOptions {
  /** Absolute. */
  readonly path: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface StorageFile {
  readonly backends: readonly BackendConfig[];
  readonly problems: readonly ConfigProblem[];
}

type Secret = (variable: string | null, place: string) => string | null;

/** S3's traits differ: at an address of its own a store is believed to know less than AWS unless the file says so. */
function toS3(name: string, given: z.infer<typeof s3>, secret: Secret): BackendConfig {
  const accessKeyId = secret(given.access_key_id_env, "access_key_id_env");
  const secretAccessKey = secret(given.secret_access_key_env, "secret_access_key_env");
  const isAws = given.endpoint === null;
  return {
    ...{ type: "s3", name, bucket: given.bucket, prefix: given.prefix, readable: given.read, writable: given.write },
    endpoint: given.endpoint,
    region: given.region,
    credentials: accessKeyId === null || secretAccessKey === null ? null : { accessKeyId, secretAccessKey },
    virtualHosts: given.virtual_hosts ?? isAws,
    conditionalWrites: given.conditional_writes ?? isAws,
    marks: given.drops_unnamed_parts ?? isAws,
    checksums: given.checksums,
  };
}

function toAzure(name: string, given: z.infer<typeof azure>, secret: Secret): BackendConfig | string {
  const connectionString = secret(given.connection_string_env, "connection_string_env");
  const sas = secret(given.sas_env, "sas_env");
  if ((connectionString === null) === (given.account_url === null)) {
    return "needs one of account_url and connection_string_env";
  }
  return {
    ...{ type: "azure", name, bucket: given.container ?? given.bucket, prefix: given.prefix },
    ...{ readable: given.read, writable: given.write },
    access: connectionString === null ? { url: given.account_url ?? "", sas } : { connectionString },
  };
}

function toBackend(name: string, given: Given, { path }: StorageFileOptions, secret: Secret): BackendConfig | string {
  if (RESERVED.includes(name)) return "is a name with a meaning of its own";
  const at = (file: string): string => toAbsolute(dirname(path), file);
  const policy = { readable: given.read, writable: given.write };
  if (given.type === "local") return { type: "local", name, path: at(given.path), ...policy };
  if (given.type === "azure") return toAzure(name, given, secret);
  if (given.type === "s3") {
    if ((given.access_key_id_env === null) === (given.secret_access_key_env === null)) return toS3(name, given, secret);
    return "needs both of access_key_id_env and secret_access_key_env, or neither";
  }
  return {
    ...{ type: "gcs", name, bucket: given.bucket, prefix: given.prefix, ...policy, endpoint: given.endpoint },
    keyFilename: given.credentials_file === null ? null : at(given.credentials_file),
    conditionalWrites: given.conditional_writes,
  };
}

function readYaml(path: string): { readonly value: unknown } | { readonly problem: string } {
  try {
    return { value: Bun.YAML.parse(readFileSync(path, "utf8")) };
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    if (code === "ENOENT") return { problem: "names a file that does not exist" };
    if (typeof code === "string" && /^E[A-Z]+$/.test(code))
      return { problem: `names a file that cannot be read (${code})` };
    return { problem: "names a file that is not valid YAML" };
  }
}

/** Every problem of the file at once; no value of a secret is in any of them. */
export function readStorageFile(options: StorageFileOptions): StorageFile {
  const read = readYaml(options.path);
  if ("problem" in read) return { backends: [], problems: [{ name: FILE, message: read.problem }] };
  const parsed = fileSchema.safeParse(read.value);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) => ({
      name: FILE,
      message: `${path.length === 0 ? "as a whole" : path.join(".")}: ${message}`,
    }));
    return { backends: [], problems };
  }
  const problems: ConfigProblem[] = [];
  const backends = Object.entries(parsed.data.backends).flatMap(([name, given]): BackendConfig[] => {
    const where = `backends.${name}`;
    const secret: Secret = (variable, place) => {
      if (variable === null) return null;
      const value = options.env[variable];
      if (value !== undefined && value !== "") return value;
      problems.push({ name: FILE, message: `${where}.${place}: the variable ${variable} is not set` });
      return null;
    };
    const built = toBackend(name, given, options, secret);
    if (typeof built !== "string") return [built];
    problems.push({ name: FILE, message: `${where}: ${built}` });
    return [];
  });
  return { backends, problems };
}
