import { describe, expect, test } from "bun:test";
import type { MediaLimits } from "../media/types.ts";
import { checkTogether } from "./checks.ts";
import { CWD, load, machine, namesOf, problemsOf } from "./load.fixture.ts";

describe("defaults", () => {
  test("need nothing and are the documented ones", () => {
    const config = load({});
    expect(config).toMatchObject({ env: "development", profile: "embedded" });
    expect(config.process).toEqual({
      role: "combined",
      dataDir: `${CWD}/data`,
      logLevel: "info",
      logFormat: "json",
      drainDelayMs: 5_000,
      drainTimeoutMs: 600_000,
    });
    expect(config.http).toMatchObject({ host: "127.0.0.1", port: 8000, ipAllowList: null, uploadLimitBytes: 1e10 });
    expect(config.keys).toMatchObject({ enabled: true, rateLimitPerMinute: 600, addressRateLimitPerMinute: 1200 });
    expect(config.limits).toEqual({
      maxInputBytes: 1e10,
      maxDurationSeconds: 86_400,
      maxOperations: 50,
      maxWidth: 7680,
      maxHeight: 4320,
      maxBitrate: 100_000_000,
      maxOutputs: 40,
      allowRawOptions: false,
      maxStreams: 64,
      jobTimeoutMs: 86_400_000,
      stallTimeoutMs: 120_000,
    });
    expect(config.worker).toMatchObject({
      concurrency: 4,
      ffmpegThreads: "auto",
      memoryLimitBytes: 800_000_000,
      tempDir: `${CWD}/data/tmp`,
      tempLimitBytes: 1_800_000_000,
      sandbox: "auto",
      ffmpegPath: null,
    });
    expect(config.queue).toEqual({
      leaseTtlMs: 15_000,
      tickIntervalMs: 5_000,
      reapAfterTicks: 3,
      poisonAfter: 3,
      maxAttempts: 3,
      publishTimeoutMs: 600_000,
      retentionJobsMs: 2_592_000_000,
      retentionOutputsMs: null,
      retentionUploadsMs: 86_400_000,
    });
    expect(config.storage).toMatchObject({ path: `${CWD}/data/storage`, backends: [] });
  });

  test("hold the limits that media wants", () => {
    const limits: MediaLimits = load({}).limits;
    expect(limits.maxStreams).toBe(64);
  });

  test("follow each other: folders DATA_DIR, uploads MAX_INPUT_SIZE, the sandbox RENDIFF_ENV", () => {
    const config = load({ DATA_DIR: "/data", MAX_INPUT_SIZE: "1GB", RENDIFF_ENV: "production" });
    expect(config.storage.path).toBe("/data/storage");
    expect(config.worker.tempDir).toBe("/data/tmp");
    expect(config.http.uploadLimitBytes).toBe(1e9);
    expect(config.worker.sandbox).toBe("required");
    expect(load({ RENDIFF_ENV: "production", SANDBOX: "auto" }).worker.sandbox).toBe("auto");
  });

  test.each([
    [1, 1],
    [2, 2],
    [3, 2],
    [4, 2],
    [16, 8],
  ])("with %p CPUs there are %p slots", (cpuCount, slots) => {
    expect(load({}, { machine: { ...machine, cpuCount } }).worker.concurrency).toBe(slots);
  });

  test("a terminal gets lines for people unless told otherwise", () => {
    const onTerminal = { machine: { ...machine, isTerminal: true } };
    expect(load({}, onTerminal).process.logFormat).toBe("pretty");
    expect(load({ LOG_FORMAT: "json" }, onTerminal).process.logFormat).toBe("json");
  });

  test("are frozen to the bottom", () => {
    const { http } = load({});
    expect(() => (http.metricsAllow as string[]).push("0.0.0.0/0")).toThrow(TypeError);
    expect(() => Object.assign(http, { port: 1 })).toThrow(TypeError);
  });
});

describe("values", () => {
  test("are read in their units", () => {
    const config = load({
      MAX_RESOLUTION: "1920x1080",
      MAX_BITRATE: "20Mbps",
      LEASE_TTL: "1s",
      RETENTION_JOBS: "never",
      RATE_LIMIT: "10/s",
      TRUSTED_PROXIES: "loopback, 10.1.2.3/8",
      IP_ALLOW_LIST: "192.0.2.0/24",
      CORS_ORIGINS: "https://App.example.com, http://localhost:3000/",
      PUBLIC_URL: "https://media.example.com/rendiff/",
      WORKER_PRIORITIES: "low,high",
      WORKER_CONCURRENCY: "3",
      FFMPEG_THREADS: "2",
      MEMORY_LIMIT: "512MiB",
      TEMP_LIMIT: "50%",
      FFMPEG_PATH: "bin/ffmpeg",
      ADMIN_API_KEYS: "0123456789abcdef, fedcba9876543210",
      DATABASE_URL: "postgresql://user:word@localhost/rendiff",
      METRICS_PORT: "8000",
    });
    expect(config.limits).toMatchObject({ maxWidth: 1920, maxHeight: 1080, maxBitrate: 20_000_000 });
    // Whole ticks: 333 ms each.
    expect(config.queue).toMatchObject({ tickIntervalMs: 333, leaseTtlMs: 999, retentionJobsMs: null });
    expect(config.keys.rateLimitPerMinute).toBe(600);
    expect(config.keys.adminKeys).toEqual(["0123456789abcdef", "fedcba9876543210"]);
    expect(config.http.trustedProxies).toEqual(["127.0.0.0/8", "::1/128", "10.0.0.0/8"]);
    expect(config.http.ipAllowList).toEqual(["192.0.2.0/24"]);
    expect(config.http.corsOrigins).toEqual(["https://app.example.com", "http://localhost:3000"]);
    expect(config.http.publicUrl).toBe("https://media.example.com/rendiff");
    expect(config.http.metricsPort).toBeNull();
    expect(config.worker).toMatchObject({
      priorities: ["high", "low"],
      concurrency: 3,
      ffmpegThreads: 2,
      memoryLimitBytes: 512 * 2 ** 20,
      tempLimitBytes: 1_000_000_000,
      ffmpegPath: `${CWD}/bin/ffmpeg`,
    });
    expect(config.database.url).toBe("postgresql://user:word@localhost/rendiff");
    expect(config.profile).toBe("cluster");
  });

  test.each([
    ["API_PORT", "65536"],
    ["API_HOST", "http://localhost"],
    ["API_HOST", "1.2.3"],
    ["MAX_INPUT_SIZE", "lots"],
    ["MAX_OPERATIONS", "0"],
    ["MAX_DURATION", "24"],
    ["MAX_RESOLUTION", "8x8"],
    ["RATE_LIMIT", "0/min"],
    ["TRUSTED_PROXIES", "10.0.0.0/8, nonsense"],
    ["CORS_ORIGINS", "https://example.com/path"],
    ["CORS_ORIGINS", "example.com"],
    ["PUBLIC_URL", "https://user:word@example.com"],
    ["DOCS", "maybe"],
    ["SANDBOX", "sometimes"],
    ["WORKER_JOB_TYPES", "convert, paint"],
    ["MEMORY_LIMIT", "1KB"],
    ["LEASE_TTL", "1ms"],
    ["JOB_TIMEOUT", "30d"],
    ["DATABASE_URL", "mysql://localhost/rendiff"],
    ["RENDIFF_ENV", "prod"],
    ["IP_ALLOW_LIST", "none"],
    ["OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"],
    ["OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"],
    ["OTEL_EXPORTER_OTLP_HEADERS", "a-value-without-a-name"],
    ["OTEL_EXPORTER_OTLP_HEADERS", "a=%0D%0Ab"],
    ["OTEL_TRACES_SAMPLER", "jaeger_remote"],
    ["OTEL_TRACES_SAMPLER_ARG", "1.5"],
  ])("%s=%s is refused by name", (name, text) => {
    expect(namesOf({ [name]: text })).toEqual([name]);
  });

  test("that are refused are quoted, those of secrets never", () => {
    expect(problemsOf({ API_PORT: "eighty" })[0]).toContain('"eighty"');
    for (const name of ["SIGNING_SECRET", "ADMIN_API_KEYS", "DATABASE_URL", "OTEL_EXPORTER_OTLP_HEADERS"]) {
      expect(problemsOf({ [name]: "hunter2" })).toHaveLength(1);
      expect(problemsOf({ [name]: "hunter2" })[0]).not.toContain("hunter2");
    }
  });
});

describe("unknown names", () => {
  test.each([
    ["MAX_INPUT_SIZ", "MAX_INPUT_SIZE"],
    ["MAX_INPUT_SZIE", "MAX_INPUT_SIZE"],
    ["api_port", "API_PORT"],
    ["API-PORT", "API_PORT"],
    ["LOGLEVEL", "LOG_LEVEL"],
    ["S3_ACCESS_KEY", "S3_ACCESS_KEY_ID"],
    ["DATABASE_URI", "DATABASE_URL"],
    ["RENDIFF_ROL", "RENDIFF_ROLE"],
    ["SIGNING_SECRETS_FILE", "SIGNING_SECRET_FILE"],
  ])("%s is taken for %s", (name, meant) => {
    expect(problemsOf({ [name]: "x" })).toEqual([`${name} is no setting; did you mean ${meant}?`]);
  });

  test("with one of our beginnings are refused also when nothing is near", () => {
    expect(problemsOf({ RENDIFF_COLOUR_OF_THE_BIKE_SHED: "x" })).toEqual([
      "RENDIFF_COLOUR_OF_THE_BIKE_SHED is no setting",
    ]);
  });

  test("of other programs are left alone", () => {
    const foreign = {
      PATH: "/bin",
      HOME: "/root",
      HOST: "x",
      PORT: "80",
      APP_HOST: "x",
      APP_PORT: "1",
      NODE_ENV: "test",
      DOS: "x",
      POSTGRES_PASSWORD: "x",
      AWS_REGION: "x",
      OTEL_SERVICE_NAME: "x",
      TEST_REDIS_URL: "x",
      npm_config_registry: "x",
      // What Kubernetes says of services named rendiff and redis.
      RENDIFF_SERVICE_HOST: "10.0.0.1",
      RENDIFF_SERVICE_PORT_HTTP: "8000",
      RENDIFF_PORT: "tcp://10.0.0.1:8000",
      RENDIFF_PORT_8000_TCP_ADDR: "10.0.0.1",
      REDIS_PORT: "tcp://10.0.0.2:6379",
      REDIS_PORT_6379_TCP: "tcp://10.0.0.2:6379",
    };
    expect(load(foreign).http.port).toBe(8000);
  });
});

const CLUSTER = { DATABASE_URL: "postgres://x/y", REDIS_URL: "redis://x", STORAGE_PATH: "/srv" };

describe("the mix", () => {
  test("takes each role with Redis and Postgres", () => {
    for (const role of ["api", "worker", "combined"]) {
      expect(load({ ...CLUSTER, RENDIFF_ROLE: role }).process.role).toBe(role as "api");
    }
  });

  test.each([
    ["keys off on a public address", { ENABLE_API_KEYS: "false", API_HOST: "0.0.0.0" }, "ENABLE_API_KEYS"],
    ["a stall longer than the job", { JOB_TIMEOUT: "1m", STALL_TIMEOUT: "2m" }, "STALL_TIMEOUT"],
    ["media around the data", { DATA_DIR: "/srv/x", STORAGE_PATH: "/srv" }, "STORAGE_PATH"],
    ["media in the data folder itself", { DATA_DIR: "/srv", STORAGE_PATH: "/srv" }, "STORAGE_PATH"],
    ["work inside media", { STORAGE_PATH: "/srv", TEMP_STORAGE: "/srv/tmp" }, "TEMP_STORAGE"],
    ["media inside work", { STORAGE_PATH: "/srv/tmp/media", TEMP_STORAGE: "/srv/tmp" }, "TEMP_STORAGE"],
    ["replicas without a shared folder", { ...CLUSTER, STORAGE_PATH: "" }, "STORAGE_PATH"],
    [
      "a Redis Cluster whose keys lie anywhere",
      { ...CLUSTER, REDIS_URL: "redis+cluster://x", REDIS_PREFIX: "rendiff:" },
      "REDIS_PREFIX",
    ],
    ["data inside work", { DATA_DIR: "/var/x", STORAGE_PATH: "/srv", TEMP_STORAGE: "/var" }, "TEMP_STORAGE"],
  ])("refuses %s", (_, env, name) => {
    expect(namesOf(env)).toContain(name);
  });

  test("allows keys off on loopback, and folders that only look alike", () => {
    expect(load({ ENABLE_API_KEYS: "false", API_HOST: "::1" }).keys.enabled).toBe(false);
    expect(load({ STORAGE_PATH: "/srv/media", TEMP_STORAGE: "/srv/media-tmp" }).storage.path).toBe("/srv/media");
  });

  test("refuses Redis or a replica without Postgres, and a role without Redis", () => {
    const base = load({});
    const names = checkTogether({
      ...base,
      process: { ...base.process, role: "worker" },
      database: { ...base.database, replicaUrl: "postgres://x" },
    }).map(({ name }) => name);
    expect(names.toSorted()).toEqual(["DATABASE_REPLICA_URL", "RENDIFF_ROLE"]);
    const redis = checkTogether({ ...base, redis: { ...base.redis, url: "redis://x" } });
    expect(redis.map(({ name }) => name)).toEqual(["REDIS_URL"]);
  });
});

test("every problem is reported at once, each name in the message", () => {
  const env = {
    API_PORT: "x",
    MAX_INPUT_SIZ: "1",
    REDIS_URL: "redis://x",
    ENABLE_API_KEYS: "false",
    API_HOST: "0.0.0.0",
    SIGNING_SECRET_FILE: "missing",
  };
  const names = ["API_PORT", "ENABLE_API_KEYS", "MAX_INPUT_SIZ", "REDIS_URL", "SIGNING_SECRET_FILE"];
  expect(namesOf(env).toSorted()).toEqual(names);
  expect(() => load(env)).toThrow(/^5 problems in the configuration/);
  for (const name of names) expect(() => load(env)).toThrow(name);
});
