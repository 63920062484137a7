/** From parsed settings to the nested, frozen Config: defaults that depend on others, units, absolute paths. */
import { join, resolve } from "node:path";
import type {
  BackendConfig,
  Config,
  HttpConfig,
  LimitsConfig,
  Network,
  QueueConfig,
  StorageConfig,
  TracesConfig,
  WorkerConfig,
} from "./config.ts";
import { type Share, toAbsolute } from "./kinds.ts";
import type { Machine } from "./machine.ts";
import { plainBackends } from "./plain-backends.ts";
import type { SettingValues } from "./schema.ts";

/** LEASE_TTL is this many ticks: two lost heartbeats reap nobody. */
const REAP_AFTER_TICKS = 3;

export interface Surroundings {
  readonly cwd: string;
  readonly machine: Machine;
  /** What STORAGE_CONFIG names. */
  readonly backends: readonly BackendConfig[];
}

export function buildConfig(values: SettingValues, around: Surroundings): Config {
  const dataDir = resolve(around.cwd, values.DATA_DIR);
  return deepFreeze({
    env: values.RENDIFF_ENV,
    profile: values.DATABASE_URL === null ? "embedded" : "cluster",
    process: {
      role: values.RENDIFF_ROLE,
      dataDir,
      logLevel: values.LOG_LEVEL,
      logFormat: values.LOG_FORMAT ?? (around.machine.isTerminal ? "pretty" : "json"),
      drainDelayMs: values.DRAIN_DELAY,
      drainTimeoutMs: values.DRAIN_TIMEOUT,
    },
    http: buildHttp(values),
    keys: {
      enabled: values.ENABLE_API_KEYS,
      adminKeys: values.ADMIN_API_KEYS ?? [],
      signingSecret: values.SIGNING_SECRET,
      rateLimitPerMinute: values.RATE_LIMIT,
      addressRateLimitPerMinute: values.ADDRESS_RATE_LIMIT,
    },
    limits: buildLimits(values),
    worker: buildWorker(values, around, dataDir),
    queue: buildQueue(values),
    database: {
      url: values.DATABASE_URL,
      replicaUrl: values.DATABASE_REPLICA_URL,
      poolSize: values.DATABASE_POOL,
      statementTimeoutMs: values.STATEMENT_TIMEOUT,
    },
    redis: { url: values.REDIS_URL, prefix: values.REDIS_PREFIX },
    storage: buildStorage(values, around, dataDir),
    telemetry: { traces: buildTraces(values) },
  });
}

/** OpenTelemetry's rules: the base gets `/v1/traces` behind it, the address of the signal itself is taken as it is. */
function buildTraces(values: SettingValues): TracesConfig | null {
  const base = values.OTEL_EXPORTER_OTLP_ENDPOINT;
  const url =
    values.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? (base === null ? null : `${base.replace(/\/+$/, "")}/v1/traces`);
  if (url === null) return null;
  return {
    url,
    protocol: values.OTEL_EXPORTER_OTLP_PROTOCOL,
    compression: values.OTEL_EXPORTER_OTLP_COMPRESSION,
    headers: values.OTEL_EXPORTER_OTLP_HEADERS ?? {},
    timeoutMs: values.OTEL_EXPORTER_OTLP_TIMEOUT,
    serviceName: values.OTEL_SERVICE_NAME,
    resourceAttributes: values.OTEL_RESOURCE_ATTRIBUTES ?? {},
    sampler: values.OTEL_TRACES_SAMPLER,
    samplerRatio: values.OTEL_TRACES_SAMPLER_ARG,
  };
}

function buildHttp(values: SettingValues): HttpConfig {
  return {
    host: values.API_HOST,
    port: values.API_PORT,
    publicUrl: values.PUBLIC_URL,
    trustedProxies: values.TRUSTED_PROXIES,
    ipAllowList: allowsAll(values.IP_ALLOW_LIST) ? null : values.IP_ALLOW_LIST,
    corsOrigins: values.CORS_ORIGINS,
    metricsAllow: values.METRICS_ALLOW,
    metricsPort: values.METRICS_PORT === values.API_PORT ? null : values.METRICS_PORT,
    bodyLimitBytes: values.BODY_LIMIT,
    uploadLimitBytes: values.UPLOAD_LIMIT ?? values.MAX_INPUT_SIZE,
    docs: values.DOCS,
  };
}

const allowsAll = (networks: readonly Network[]): boolean =>
  ["0.0.0.0/0", "::/0"].every((network) => networks.includes(network));

function buildLimits(values: SettingValues): LimitsConfig {
  return {
    maxInputBytes: values.MAX_INPUT_SIZE,
    maxDurationSeconds: values.MAX_DURATION / 1000,
    maxOperations: values.MAX_OPERATIONS,
    maxWidth: values.MAX_RESOLUTION.width,
    maxHeight: values.MAX_RESOLUTION.height,
    maxBitrate: values.MAX_BITRATE,
    maxOutputs: values.MAX_OUTPUTS,
    allowRawOptions: values.ALLOW_RAW_OPTIONS,
    maxStreams: values.MAX_STREAMS,
    jobTimeoutMs: values.JOB_TIMEOUT,
    stallTimeoutMs: values.STALL_TIMEOUT,
  };
}

function buildWorker(values: SettingValues, { cwd, machine }: Surroundings, dataDir: string): WorkerConfig {
  const tempDir = values.TEMP_STORAGE === null ? join(dataDir, "tmp") : toAbsolute(cwd, values.TEMP_STORAGE);
  const program = (path: string | null): string | null => (path === null ? null : toAbsolute(cwd, path));
  return {
    cpuCount: machine.cpuCount,
    concurrency: values.WORKER_CONCURRENCY === "auto" ? slotsFor(machine.cpuCount) : values.WORKER_CONCURRENCY,
    ffmpegThreads: values.FFMPEG_THREADS,
    memoryLimitBytes: resolveShare(values.MEMORY_LIMIT, () => machine.memoryBytes),
    tempDir,
    tempLimitBytes: resolveShare(values.TEMP_LIMIT, () => machine.diskBytes(tempDir)),
    jobTypes: values.WORKER_JOB_TYPES,
    priorities: values.WORKER_PRIORITIES,
    sandbox: values.SANDBOX ?? (values.RENDIFF_ENV === "production" ? "required" : "auto"),
    ffmpegPath: program(values.FFMPEG_PATH),
    ffprobePath: program(values.FFPROBE_PATH),
    vmafFfmpegPath: program(values.VMAF_FFMPEG_PATH),
    packagerPath: program(values.PACKAGER_PATH),
  };
}

/** Half the CPUs, since encoders use several well; but two where there are two, so that a long job never blocks all. */
export function slotsFor(cpuCount: number): number {
  return Math.max(Math.min(2, cpuCount), Math.floor(cpuCount / 2));
}

const resolveShare = (share: Share, wholeBytes: () => number): number =>
  "bytes" in share ? share.bytes : Math.floor((wholeBytes() * share.percent) / 100);

function buildQueue(values: SettingValues): QueueConfig {
  const tickIntervalMs = Math.round(values.LEASE_TTL / REAP_AFTER_TICKS);
  return {
    leaseTtlMs: tickIntervalMs * REAP_AFTER_TICKS,
    tickIntervalMs,
    reapAfterTicks: REAP_AFTER_TICKS,
    poisonAfter: values.POISON_AFTER,
    maxAttempts: values.MAX_ATTEMPTS,
    publishTimeoutMs: values.PUBLISH_TIMEOUT,
    retentionJobsMs: values.RETENTION_JOBS.ms,
    retentionOutputsMs: values.RETENTION_OUTPUTS.ms,
    retentionUploadsMs: values.RETENTION_UPLOADS,
  };
}

function buildStorage(values: SettingValues, { cwd, backends }: Surroundings, dataDir: string): StorageConfig {
  return {
    path: values.STORAGE_PATH === null ? join(dataDir, "storage") : toAbsolute(cwd, values.STORAGE_PATH),
    backends: [...backends, ...plainBackends(values, cwd)],
    allowPrivateNetworks: values.ALLOW_PRIVATE_NETWORKS,
  };
}

function deepFreeze<T extends object>(value: T): T {
  for (const child of Object.values(value)) {
    if (typeof child === "object" && child !== null && !Object.isFrozen(child)) deepFreeze(child);
  }
  return Object.freeze(value);
}
