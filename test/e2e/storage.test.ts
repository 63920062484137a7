/** Jobs from store to store, and kill -9 of the server in the middle of an upload and of a publish. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ListMultipartUploadsCommand, ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import { BlobServiceClient } from "@azure/storage-blob";
import { Storage } from "@google-cloud/storage";
import { credentials, makeBucket } from "../integration/s3-subject.ts";
import { type Api, makeApi } from "../support/api.ts";
import { type FaultyProxy, startFaultyProxy } from "../support/faulty-proxy.ts";
import { longTest } from "../support/gated.ts";
import { makeKey, makeSite, type RunningServer, type Site, startServer, untilClean } from "../support/server.ts";
import { ACCESS_KEY, azureConnectionString, SECRET_KEY, startStore } from "../support/stores.ts";
import { until } from "../support/until.ts";
import { put, START_TIMEOUT_MS } from "./harness.ts";

interface World {
  readonly site: Site;
  readonly key: string;
  readonly adminKey: string;
  readonly minio: { readonly url: string; readonly bucket: string; readonly client: S3Client };
  /** Between the server and each store, by the backend's name. */
  readonly proxies: Readonly<Record<StoreBackend, FaultyProxy>>;
  /** Names of what lies in a store, whoever may see it. */
  readonly names: Readonly<Record<StoreBackend, () => Promise<string[]>>>;
}

type StoreBackend = "minio" | "rclone" | "blobs" | "google";

let world: World;
let server: RunningServer;
let api: Api;

async function configFile(folder: string): Promise<{ path: string; world: Omit<World, "site" | "key" | "adminKey"> }> {
  const [minio, rclone, azurite, gcs] = await Promise.all([
    startStore("minio"),
    startStore("rclone"),
    startStore("azurite"),
    startStore("fake-gcs"),
  ]);
  const proxies = {
    minio: await startFaultyProxy(minio.url),
    rclone: await startFaultyProxy(rclone.url),
    blobs: await startFaultyProxy(azurite.url),
    google: await startFaultyProxy(gcs.url),
  };
  const [bucket, other] = [await makeBucket(minio.url), await makeBucket(rclone.url)];
  const container = BlobServiceClient.fromConnectionString(azureConnectionString(azurite.url)).getContainerClient(
    "media",
  );
  await container.create();
  const google = new Storage({ apiEndpoint: gcs.url, projectId: "t", useAuthWithCustomEndpoint: false });
  await google.createBucket("media");
  const s3 = (endpoint: string) => ({
    ...{ type: "s3", endpoint, access_key_id_env: "STORE_KEY", secret_access_key_env: "STORE_SECRET" },
  });
  const knows = { conditional_writes: true, drops_unnamed_parts: true };
  const backends = {
    minio: { ...s3(proxies.minio.url), ...knows, bucket, prefix: "media" },
    rclone: { ...s3(proxies.rclone.url), bucket: other },
    blobs: { type: "azure", connection_string_env: "STORE_BLOBS", container: "media" },
    google: { type: "gcs", endpoint: proxies.google.url, bucket: "media", conditional_writes: false },
    archive: { ...s3(proxies.minio.url), bucket, prefix: "media", write: false },
    inbox: { ...s3(proxies.minio.url), bucket, prefix: "media", read: false },
  };
  const path = join(folder, "storage.yml");
  await writeFile(path, JSON.stringify({ backends }));
  Object.assign(secrets, { STORE_BLOBS: azureConnectionString(proxies.blobs.url) });
  const s3Client = (endpoint: string) =>
    new S3Client({ endpoint, region: "us-east-1", forcePathStyle: true, credentials });
  const client = s3Client(minio.url);
  const rcloneClient = s3Client(rclone.url);
  const names = {
    minio: () => s3Names(client, bucket),
    rclone: () => s3Names(rcloneClient, other),
    blobs: () => Array.fromAsync(container.listBlobsFlat(), ({ name }) => name),
    google: async () => (await google.bucket("media").getFiles())[0].map(({ name }) => name),
  };
  return { path, world: { minio: { url: minio.url, bucket, client }, proxies, names } };
}

async function s3Names(client: S3Client, bucket: string): Promise<string[]> {
  const page = await client.send(new ListObjectsV2Command({ Bucket: bucket }));
  return (page.Contents ?? []).map(({ Key = "" }) => Key);
}

const secrets: Record<string, string> = { STORE_KEY: ACCESS_KEY, STORE_SECRET: SECRET_KEY };

async function start(): Promise<void> {
  server = await startServer(world.site, secrets);
  api = makeApi(server.url, world.key);
}

beforeAll(async () => {
  const site = await makeSite("embedded", { LEASE_TTL: "1500ms", POISON_AFTER: "1000" });
  const { path, world: rest } = await configFile(site.folder);
  const configured = { ...site, env: { ...site.env, STORAGE_CONFIG: path } };
  const withSecrets = { ...configured, env: { ...configured.env, ...secrets } };
  const key = await makeKey(withSecrets);
  world = { site: configured, key, adminKey: await makeKey(withSecrets, { role: "admin" }), ...rest };
  await put(site, "in.mp4");
  await start();
}, START_TIMEOUT_MS);

afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  world?.minio.client.destroy();
});

const encode = (input: string, output: string): object => ({
  input,
  output,
  operations: [{ type: "transcode", video_codec: "h264", preset: "ultrafast", crf: 30 }],
});

const uploadsIn = async ({ minio }: World, key: string): Promise<number> => {
  // MinIO lists uploads of one object only.
  const input = { Bucket: minio.bucket, Prefix: `media/${key}` };
  return (await minio.client.send(new ListMultipartUploadsCommand(input))).Uploads?.length ?? 0;
};

/** What `/admin/storage` says of a backend, and of the only key's part of it. */
async function occupied(backend: StoreBackend): Promise<number[]> {
  const admin = makeApi(server.url, world.adminKey);
  interface Account {
    readonly size_bytes: number;
  }
  const { body } = await admin.call<{
    backends: readonly (Account & { name: string })[];
    keys: readonly (Account & { backend: string })[];
  }>("GET", "/admin/storage");
  const whole = body.backends.find(({ name }) => name === backend)?.size_bytes ?? 0;
  return [whole, body.keys.find((one) => one.backend === backend)?.size_bytes ?? 0];
}

async function sha256OfUrl(url: string): Promise<string> {
  const response = await fetch(url);
  expect(response.status).toBe(200);
  return new Bun.CryptoHasher("sha256").update(await response.arrayBuffer()).digest("hex");
}

type Matches = (seen: { readonly method: string; readonly url: string }) => boolean;

const isCompletion: Matches = ({ method, url }) => method === "POST" && /[?&]uploadId=/.test(url);
const isPart: Matches = ({ method, url }) => method === "PUT" && /[?&]partNumber=1(&|$)/.test(url);

describe("jobs between stores", () => {
  const HOPS = [
    ["in.mp4", "minio://a/one.mp4"],
    ["minio://a/one.mp4", "blobs://a/two.mp4"],
    ["blobs://a/two.mp4", "google://a/three.mp4"],
    ["google://a/three.mp4", "rclone://a/four.mp4"],
    ["rclone://a/four.mp4", "minio://a/five ünï.mp4"],
    ["archive://a/five ünï.mp4", "local://six.mp4"],
  ] as const;

  test("read here and write there, and what is downloaded is what was made", async () => {
    for (const [input, output] of HOPS) {
      const { id } = await api.completed(encode(input, output));
      const [made] = await api.outputs(id);
      expect(made?.uri).toBe(output);
      expect(made?.media.duration_seconds).toBeGreaterThan(0);
      const { download_url: url, sha256 } = made ?? {};
      expect([output, await sha256OfUrl(url ?? "")]).toEqual([output, sha256 ?? ""]);
    }
    await untilClean(world.site);
  }, 90_000);

  test("outputs are deleted where they lie, and are counted as long as they are there", async () => {
    const before = await occupied("minio");
    const { id } = await api.completed(encode("in.mp4", "minio://deleted.mp4"));
    expect(await world.names.minio()).toContain("media/deleted.mp4");
    const [made] = await api.outputs(id);
    const grown = (before[0] ?? 0) + (made?.bytes ?? 0);
    expect(await occupied("minio")).toEqual([grown, grown]);
    expect((await api.call("DELETE", `/jobs/${id}/outputs`)).body).toEqual({ deleted: [0], busy: [] });
    expect(await world.names.minio()).not.toContain("media/deleted.mp4");
    expect(await occupied("minio")).toEqual(before);
  });

  test("what a backend is not for is refused by name", async () => {
    for (const body of [encode("in.mp4", "archive://x.mp4"), encode("inbox://a/one.mp4", "x.mp4")]) {
      expect((await api.call("POST", "/convert", body)).status).toBe(422);
    }
    expect((await api.failed(encode("minio://none.mp4", "x.mp4"))).kind).toBe("input.not_found");
  });

  test("no secret is in any log, and the stores answer in /health", async () => {
    const log = await server.log();
    for (const secret of [SECRET_KEY, ACCESS_KEY, "Eby8vdM02xNOcqFlqUwJPLl"]) expect(log).not.toContain(secret);
    const health = await (await fetch(`${server.url}/health`)).json();
    expect(JSON.stringify(health)).not.toContain("does not answer");
  });
});

describe("kill -9", () => {
  /** Kills the server while the request is held, and starts it again. */
  async function killWhile(matches: Matches, output: string) {
    const held = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    const arrived = Promise.withResolvers<void>();
    const [backend, key] = output.split("://") as [StoreBackend, string];
    const proxy = world.proxies[backend];
    let once = false;
    proxy.decide = (seen) => {
      if (once || !matches(seen)) return null;
      once = true;
      held.resolve();
      return { kind: "late", until: release.promise, answered: () => arrived.resolve() };
    };
    const { id } = await api.convert(encode("in.mp4", output));
    await held.promise;
    expect((await world.names[backend]()).filter((name) => name.endsWith(key))).toEqual([]);
    await server.kill();
    proxy.decide = () => null;
    await start();
    return { id, release: () => release.resolve(), arrived: arrived.promise };
  }

  test("mid-upload: the next attempt publishes, and nothing of the first is left", async () => {
    const { id, release, arrived } = await killWhile(isPart, "minio://killed-upload.mp4");
    expect((await api.ended(id)).status).toBe("completed");
    // The part of the dead attempt reaches the store now.
    release();
    await arrived;
    await until(async () => (await uploadsIn(world, "killed-upload.mp4")) === 0, { timeoutMs: 20_000 });
    const [made] = await api.outputs(id);
    expect(await sha256OfUrl(made?.download_url ?? "")).toBe(made?.sha256 ?? "");
    await untilClean(world.site);
  }, 60_000);

  test("mid-publish: it is rolled forward, and the late completion changes nothing", async () => {
    const { id, release, arrived } = await killWhile(isCompletion, "minio://killed-publish.mp4");
    const job = await api.ended(id);
    expect(job.status).toBe("completed");
    // Another job replaces the object before the completion of the dead attempt arrives.
    const next = await api.completed(encode("in.mp4", "minio://killed-publish.mp4"));
    release();
    await arrived;
    const [made] = await api.outputs(next.id);
    expect(await sha256OfUrl(made?.download_url ?? "")).toBe(made?.sha256 ?? "");
    expect(await uploadsIn(world, "killed-publish.mp4")).toBe(0);
    await untilClean(world.site);
  }, 60_000);

  /** A block or an object on its way to where no reader looks, and what makes it visible. */
  const OTHERS: readonly (readonly [StoreBackend, Matches, Matches])[] = [
    ["rclone", isPart, isCompletion],
    [
      "blobs",
      ({ method, url }) => method === "PUT" && /[?&]comp=block(&|$)/.test(url),
      ({ method, url }) => method === "PUT" && !/[?&](comp|restype)=/.test(url),
    ],
    [
      "google",
      ({ method, url }) => method === "POST" && url.startsWith("/upload/"),
      ({ method, url }) => method === "POST" && /\/(rewriteTo|copyTo)\//.test(url),
    ],
  ];
  for (const [backend, isSending, isPublishing] of OTHERS) {
    for (const [when, matches] of [
      ["sends", isSending],
      ["publishes", isPublishing],
    ] as const) {
      const key = `killed-as-it-${when}.mp4`;
      const body = async (): Promise<void> => {
        const { id, release, arrived } = await killWhile(matches, `${backend}://${key}`);
        expect((await api.ended(id)).status).toBe("completed");
        const next = await api.completed(encode("in.mp4", `${backend}://${key}`));
        release();
        await arrived;
        const [made] = await api.outputs(next.id);
        expect(await sha256OfUrl(made?.download_url ?? "")).toBe(made?.sha256 ?? "");
        await untilClean(world.site);
        const hidden = async () => (await world.names[backend]()).filter((name) => name.includes(".rendiff-"));
        await until(async () => (await hidden()).length === 0, { timeoutMs: 20_000, what: "an empty store" });
      };
      longTest(`as it ${when} to ${backend}: whole in the end, and the late request changes nothing`, body, 120_000);
    }
  }
});
