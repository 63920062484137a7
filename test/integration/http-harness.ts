/**
 * The front end on a real database, with plain stand-ins for what is beside it: a folder as storage, coordination in this
 * process, and a media service that says what the test wants.
 */
import { mkdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type HttpServices, makeApp, type RendiffApp } from "../../plugins/app.ts";
import { makeRouteMatcher } from "../../plugins/match.ts";
import { ROUTES } from "../../plugins/routes.ts";
import type { Config } from "../../src/config/config.ts";
import type { Bus, BusMessage, Coordination, ReadyHint } from "../../src/coordination/ports.ts";
import type { Sql } from "../../src/database/sql.ts";
import { RendiffError } from "../../src/errors.ts";
import type { Capabilities, MediaInfo, Plan } from "../../src/media/types.ts";
import { type KeyPropertiesInput, keyPropertiesSchema } from "../../src/security/keys.schema.ts";
import { type CreatedKey, createKey } from "../../src/security/keys.ts";
import { makeUrlGuard } from "../../src/security/outbound/url-guard.ts";
import type { StorageBackend, StorageRegistry } from "../../src/storage/port.ts";
import { makeTracer } from "../../src/telemetry/tracer.ts";
import { makeUploadBytes } from "../../src/uploads/bytes.ts";
import { makeUploads, type Uploads, type UploadsPorts } from "../../src/uploads/uploads.ts";
import { afterFile } from "../support/cleanup.ts";
import { silentLogger } from "../support/silent-logger.ts";

export interface FakeCoordination extends Coordination {
  readonly hints: ReadyHint[];
  readonly published: { readonly channel: string; readonly message: BusMessage }[];
}

export function fakeCoordination(now: () => number = Date.now): FakeCoordination {
  const hints: ReadyHint[] = [];
  const published: { channel: string; message: BusMessage }[] = [];
  const listeners = new Map<string, Set<(message: BusMessage) => void>>();
  const values = new Map<string, string>();
  const records = new Map<string, Readonly<Record<string, string>>>();
  const windows = new Map<string, { count: number; endsAtMs: number }>();
  const close = async (): Promise<void> => undefined;
  return {
    kind: "memory",
    hints,
    published,
    readyQueue: {
      add: async (more) => void hints.push(...more),
      take: async () => null,
      added: async () => undefined,
      remove: async (jobId) => void hints.splice(0, hints.length, ...hints.filter((hint) => hint.jobId !== jobId)),
      depths: async () => ({ high: 0, normal: 0, low: 0 }),
      close,
    },
    locks: {
      acquire: async () => true,
      renew: async () => true,
      release: async () => true,
      holder: async () => null,
      close,
    },
    limiter: {
      async consume(name, limit, windowMs) {
        let window = windows.get(name);
        if (window === undefined || window.endsAtMs <= now()) {
          window = { count: 0, endsAtMs: now() + windowMs };
          windows.set(name, window);
        }
        window.count++;
        const remaining = Math.max(0, limit - window.count);
        return { allowed: window.count <= limit, limit, remaining, resetMs: window.endsAtMs - now() };
      },
      close,
    },
    bus: {
      async publish(channel, message) {
        published.push({ channel, message });
        for (const listener of listeners.get(channel) ?? []) listener(message);
      },
      async subscribe(channel, listener) {
        const set = listeners.get(channel) ?? new Set();
        listeners.set(channel, set.add(listener));
        return async () => void set.delete(listener);
      },
      close,
    },
    cache: {
      get: async (name) => values.get(name) ?? null,
      set: async (name, value) => void values.set(name, value),
      getFields: async (name) => records.get(name) ?? null,
      setFields: async (name, fields) => void records.set(name, fields),
      delete: async (name) => void values.delete(name),
      close,
    },
    ping: async () => undefined,
    close,
  };
}

/** Only what the front end asks of storage: where a published file lies. */
export function fakeStorage(
  root: string,
): StorageRegistry & { write(key: string, bytes: Uint8Array): Promise<string> } {
  const unused = (): never => {
    throw new Error("the front end does not do that");
  };
  const identityOf = async (key: string): Promise<{ identity: string; sizeBytes: number; modifiedAt: Date } | null> => {
    const found = await stat(join(root, key)).catch(() => null);
    if (found === null) return null;
    return { identity: `${found.ino}:${found.size}:${found.mtimeMs}`, sizeBytes: found.size, modifiedAt: found.mtime };
  };
  const local: StorageBackend = {
    name: "local",
    properties: {
      type: "local",
      readable: true,
      writable: true,
      publishing: "rename",
      conditionalDelete: true,
      conditionalPublish: true,
      findsStaging: true,
      inPlace: true,
    },
    stat: identityOf,
    open: unused,
    localPath: async (key) => join(root, key),
    stage: unused,
    fill: unused,
    publish: unused,
    settle: unused,
    abort: unused,
    async delete(key, identity) {
      if ((await identityOf(key))?.identity !== identity) return false;
      await Bun.file(join(root, key)).delete();
      return true;
    },
    list: unused,
    freeBytes: async () => null,
    presign: async () => null,
    close: async () => undefined,
  };
  const readOnly: StorageBackend = { ...local, name: "archive", properties: { ...local.properties, writable: false } };
  const upload: StorageBackend = { ...readOnly, name: "upload" };
  return {
    names: ["local", "archive", "upload"],
    backend(name) {
      if (name === "local") return local;
      if (name === "upload") return upload;
      if (name === "archive") return readOnly;
      throw new RendiffError({ kind: "request.unsupported", publicMessage: `There is no storage named ${name} here.` });
    },
    async write(key, bytes) {
      await mkdir(dirname(join(root, key)), { recursive: true });
      await Bun.write(join(root, key), bytes);
      return (await identityOf(key))?.identity ?? "";
    },
  };
}

export const ESTIMATE = {
  ...{ seconds: { value: 2, off: 0.25 }, cpuSeconds: null, bytes: { value: 1_000, off: 0.02 }, memoryBytes: null },
  ...{ samples: 1, sampledSeconds: 1, outputSeconds: 1, warnings: [] },
};
const PLAN: Plan = {
  version: 1,
  files: [],
  steps: [
    {
      id: "encode",
      args: ["-i", { file: "in/0" }, "-c:v", "libx264", { file: "out/0.mp4" }],
      filterGraph: "[0:v]scale=64:48[v]",
      durationSeconds: 1,
      weight: 1,
      threads: 1,
      memoryBytesMax: 1,
      fileBytesMax: 1,
      writes: ["out/0.mp4"],
    },
  ],
  outputs: [],
  warnings: ["a warning"],
  copiesOnly: false,
  workBytesMax: 1,
};

export const MEDIA: MediaInfo = {
  demuxers: ["mov", "mp4"],
  container: "mp4",
  sizeBytes: 1_000,
  durationSeconds: 1,
  startSeconds: 0,
  bitrate: null,
  tags: { majorBrand: "isom" },
  streams: [],
  chapters: 0,
  warnings: [],
};

const able = { ok: true } as const;
export const CAPABILITIES: Capabilities = {
  ffmpegVersion: "9.0",
  ffmpegMajor: 9,
  ffprobeVersion: "9.0",
  encoders: { libx264: able, libx265: able, aac: able, libmp3lame: able, mjpeg: able, png: able, flac: able },
  decoders: ["h264"],
  filters: { scale: able, crop: able, pad: able, transpose: able, hflip: able, vflip: able, trim: able, atrim: able },
  muxers: { mp4: able, mov: able, matroska: able, mp3: able, flac: able, image2: able },
  demuxers: ["mov"],
  accelerators: { vaapi: { ok: false, reason: "there is no render node" } },
  sandbox: able,
  inputFormats: ["mov"],
};

export type TestConfig = Pick<Config, "http" | "keys" | "limits" | "queue">;

export function testConfig(): TestConfig {
  return {
    http: {
      host: "127.0.0.1",
      port: 0,
      publicUrl: null,
      trustedProxies: [],
      ipAllowList: null,
      corsOrigins: ["https://app.example"],
      metricsAllow: ["127.0.0.0/8", "::1/128"],
      metricsPort: null,
      bodyLimitBytes: 64 * 1024,
      uploadLimitBytes: 1024 * 1024,
      docs: true,
    },
    keys: {
      enabled: true,
      adminKeys: [],
      signingSecret: null,
      rateLimitPerMinute: 100_000,
      addressRateLimitPerMinute: 1_000_000,
    },
    limits: {
      maxInputBytes: 1e10,
      maxDurationSeconds: 86_400,
      maxOperations: 50,
      maxWidth: 7680,
      maxHeight: 4320,
      maxBitrate: 1e8,
      maxOutputs: 40,
      allowRawOptions: false,
      maxStreams: 64,
      jobTimeoutMs: 86_400_000,
      stallTimeoutMs: 120_000,
    },
    queue: {
      leaseTtlMs: 15_000,
      tickIntervalMs: 5_000,
      reapAfterTicks: 3,
      poisonAfter: 3,
      maxAttempts: 3,
      publishTimeoutMs: 60_000,
      retentionJobsMs: null,
      retentionOutputsMs: null,
      retentionUploadsMs: 86_400_000,
    },
  };
}

export interface LogLine {
  readonly level: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

export interface TestHttp {
  readonly app: RendiffApp;
  readonly sql: Sql;
  readonly coordination: FakeCoordination;
  readonly storage: ReturnType<typeof fakeStorage>;
  readonly log: LogLine[];
  readonly finished: { route: string; status: number }[];
  key(properties?: Partial<KeyPropertiesInput>): Promise<CreatedKey>;
  /** Below `/api/v1` unless the path begins with `http:`. */
  call(method: string, path: string, options?: CallOptions): Promise<Response>;
}

export interface CallOptions {
  readonly key?: string | undefined;
  readonly json?: unknown;
  readonly body?: Blob | string | Uint8Array<ArrayBuffer> | ReadableStream;
  readonly headers?: Readonly<Record<string, string>>;
}

const match = makeRouteMatcher(ROUTES);

/** An answer that fails the schema its rule declares is a bug in one of the two. */
async function holdToSchema(method: string, url: string, answer: Response): Promise<void> {
  const found = match(method, new URL(url).pathname);
  if (found.outcome !== "matched" || method === "HEAD") return;
  const schema = found.rule.answers[answer.status]?.schema;
  const result = schema?.safeParse(await answer.json());
  if (result?.success === false) throw new Error(`${found.rule.id} ${answer.status}: ${result.error.message}`);
}

export interface UploadsFor {
  readonly sql: Sql;
  readonly root: string;
  readonly bus: Bus;
  readonly config?: TestConfig;
  readonly changes?: Partial<UploadsPorts>;
}

export function testUploads({ sql, root, bus, config = testConfig(), changes = {} }: UploadsFor): Uploads {
  const uploads = makeUploads({
    ...{ sql, bus, logger: silentLogger(), bytes: makeUploadBytes(join(root, "uploads")), freeBytes: async () => null },
    ...{ limitBytes: config.http.uploadLimitBytes, keepMs: config.queue.retentionUploadsMs },
    ...changes,
  });
  afterFile(() => uploads.close());
  return uploads;
}

export interface HarnessOptions {
  readonly sql: Sql;
  readonly root: string;
  readonly config?: TestConfig;
  readonly services?: Partial<HttpServices>;
}

export function makeTestHttp({ sql, root, config = testConfig(), services = {} }: HarnessOptions): TestHttp {
  const coordination = fakeCoordination();
  const storage = fakeStorage(root);
  const log: LogLine[] = [];
  const finished: { route: string; status: number }[] = [];
  const write =
    (level: string) =>
    (fields: Readonly<Record<string, unknown>>, message = ""): void =>
      void log.push({ level, fields, message });
  const app = makeApp({
    config,
    sql,
    readSql: sql,
    coordination,
    storage,
    logger: { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") } as never,
    tracer: makeTracer({ sink: null }),
    metrics: {
      jobFinished: () => undefined,
      requestFinished: (request: { route: string; status: number }) => void finished.push(request),
      requestTurnedAway: ({ status }: { status: number }) => void finished.push({ route: "none", status }),
      contentType: "text/plain; version=0.0.4",
      render: async () => "# HELP rendiff_jobs_total Jobs\n",
    } as never,
    version: "0.0.0-test",
    kinds: () => [],
    whyUnserved: () => null,
    statusOnly: false,
    askReplicas: async () => [],
    capabilities: () => CAPABILITIES,
    media: { probe: async () => MEDIA, plan: async () => PLAN, estimate: async () => ESTIMATE },
    urlGuard: makeUrlGuard({ allowNetworks: [] }),
    uploads: testUploads({ sql, root, bus: coordination.bus, config }),
    signingSecret: "a secret of the tests",
    readiness: () => ({ ready: true, reasons: [] }),
    healthChecks: [{ name: "database", vital: true, run: async () => null }],
    ...services,
  });
  return {
    app,
    sql,
    coordination,
    storage,
    log,
    finished,
    key: (properties = {}) => createKey(sql, keyPropertiesSchema.parse({ name: "test", ...properties })),
    async call(method, path, { key, json, body, headers = {} } = {}) {
      const url = path.startsWith("http:") ? path : `http://localhost/api/v1${path}`;
      const answer = await app.handle(
        new Request(url, {
          method,
          headers: {
            ...(key === undefined ? {} : { "x-api-key": key }),
            ...(json === undefined ? {} : { "content-type": "application/json" }),
            ...headers,
          },
          ...(json === undefined ? (body === undefined ? {} : { body }) : { body: JSON.stringify(json) }),
        }),
      );
      await holdToSchema(method, url, answer.clone() as Response);
      return answer;
    },
  };
}
