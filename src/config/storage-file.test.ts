import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeTempDir } from "../../test/support/temp-dir.ts";
import { load, problemsOf } from "./load.fixture.ts";

const folder = await makeTempDir("config");

function file(text: string): string {
  const path = join(folder, `${Bun.randomUUIDv7()}.yml`);
  writeFileSync(path, text);
  return path;
}

const backendsOf = (text: string, env: Record<string, string> = {}) =>
  load({ STORAGE_CONFIG: file(text), ...env }).storage.backends;

const refusals = (text: string, env: Record<string, string> = {}) => problemsOf({ STORAGE_CONFIG: file(text), ...env });

describe("STORAGE_CONFIG", () => {
  test("names backends of every type, with secrets from the environment", () => {
    const text = `
backends:
  minio:
    type: s3
    bucket: media
    prefix: out/v1
    endpoint: http://127.0.0.1:9000
    access_key_id_env: MINIO_KEY
    secret_access_key_env: MINIO_SECRET
    conditional_writes: true
  aws: { type: s3, region: eu-central-1, write: false }
  blobs: { type: azure, container: media, account_url: https://x.blob.core.windows.net, sas_env: BLOBS_SAS }
  google: { type: gcs, bucket: media, credentials_file: google.json }
  disk: { type: local, path: disk, read: false }
`;
    const env = { MINIO_KEY: "key", MINIO_SECRET: "secret", BLOBS_SAS: "sv=1&sig=2" };
    const [minio, aws, blobs, google, disk] = backendsOf(text, env);
    expect(minio).toMatchObject({
      ...{ type: "s3", name: "minio", bucket: "media", prefix: "out/v1", endpoint: "http://127.0.0.1:9000" },
      ...{ credentials: { accessKeyId: "key", secretAccessKey: "secret" }, readable: true, writable: true },
      ...{ virtualHosts: false, conditionalWrites: true, marks: false, checksums: true },
    });
    expect(aws).toMatchObject({ name: "aws", bucket: null, credentials: null, readable: true, writable: false });
    expect(aws).toMatchObject({ virtualHosts: true, conditionalWrites: true, marks: true });
    expect(blobs).toMatchObject({ type: "azure", bucket: "media", access: { sas: "sv=1&sig=2" } });
    expect(google).toMatchObject({ type: "gcs", keyFilename: join(folder, "google.json"), conditionalWrites: true });
    expect(disk).toMatchObject({ type: "local", path: join(folder, "disk"), readable: false });
  });

  test.each([
    ["a file that is not there", null, "names a file that does not exist"],
    ["what is no YAML", "backends: [", "names a file that is not valid YAML"],
    ["an unknown type", "backends: { a: { type: ftp } }", "backends.a.type: "],
    ["an unknown name in a backend", "backends: { a: { type: s3, buckets: x } }", "backends.a: "],
    ["a backend without what it needs", "backends: { a: { type: local } }", "backends.a.path: "],
    ["a name with a meaning", "backends: { http: { type: s3 } }", "backends.http: is a name with a meaning"],
    ["a name that is no scheme", "backends: { 'A b': { type: s3 } }", "backends.A b: "],
    ["a prefix that leads out", "backends: { a: { type: s3, prefix: ../x } }", "backends.a.prefix: "],
    [
      "an endpoint with credentials",
      "backends: { a: { type: s3, endpoint: 'http://u:p@h' } }",
      "backends.a.endpoint: ",
    ],
    ["half of a key", "backends: { a: { type: s3, access_key_id_env: X } }", "needs both of access_key_id_env"],
    ["two ways into an account", "backends: { a: { type: azure } }", "needs one of account_url"],
    [
      "a variable that is not set",
      "backends: { a: { type: azure, connection_string_env: NOT_SET } }",
      "the variable NOT_SET is not set",
    ],
    ["a secret in the file", "backends: { a: { type: s3, secret_access_key: hunter22 } }", "backends.a: "],
  ])("refuses %s", (_, text, message) => {
    const problems = text === null ? problemsOf({ STORAGE_CONFIG: "none.yml" }) : refusals(text);
    expect(problems.join("\n")).toContain(`STORAGE_CONFIG ${message.startsWith("names") ? message : ""}`);
    expect(problems.join("\n")).toContain(message);
    expect(problems.join("\n")).not.toContain("hunter22");
  });

  test("one name twice is refused", () => {
    const problems = refusals("backends: { s3: { type: s3 } }", { S3_REGION: "eu" });
    expect(problems).toEqual(["STORAGE_CONFIG names s3, which plain variables describe too: give one of them"]);
  });
});

describe("plain variables", () => {
  test("describe one backend each, whose keys begin with a bucket", () => {
    const { backends } = load({
      S3_ENDPOINT: "http://127.0.0.1:9000",
      S3_ACCESS_KEY_ID: "key",
      S3_SECRET_ACCESS_KEY: "secret",
      AZURE_STORAGE_CONNECTION_STRING: "AccountName=x;AccountKey=y",
      GCS_ENDPOINT: "http://127.0.0.1:4443",
    }).storage;
    expect(backends.map(({ name, type }) => [name, type])).toEqual([
      ["s3", "s3"],
      ["azure", "azure"],
      ["gcs", "gcs"],
    ]);
    expect(backends.every((backend) => "bucket" in backend && backend.bucket === null)).toBe(true);
  });

  test("none describe none", () => {
    expect(load({}).storage.backends).toEqual([]);
  });
});
