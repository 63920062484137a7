/**
 * The whole configuration as one frozen value: read once at start, passed on as plain values, never read again.
 *
 * Every field comes from one setting of `settings/` (or is derived from several), in the unit its name ends with.
 */
import type { JobType, Priority } from "../jobs/types.ts";

export const ENVIRONMENTS = ["production", "staging", "development", "test"] as const;
export const ROLES = ["api", "worker", "combined"] as const;
export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export const LOG_FORMATS = ["json", "pretty"] as const;
export const SANDBOX_MODES = ["required", "auto", "off"] as const;

export type Environment = (typeof ENVIRONMENTS)[number];
export type Role = (typeof ROLES)[number];
export type LogLevel = (typeof LOG_LEVELS)[number];
export type LogFormat = (typeof LOG_FORMATS)[number];
export type SandboxMode = (typeof SANDBOX_MODES)[number];

/** An IPv4 or IPv6 network as `address/bits`, host bits cleared, IPv4-mapped ones written as IPv4. */
export type Network = string;

export interface ProcessConfig {
  readonly role: Role;
  /** Absolute. */
  readonly dataDir: string;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  readonly drainDelayMs: number;
  readonly drainTimeoutMs: number;
}

export interface HttpConfig {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Without a trailing slash; null: links begin with where the request was sent. */
  readonly publicUrl: string | null;
  readonly trustedProxies: readonly Network[];
  /** Null: everyone may call. */
  readonly ipAllowList: readonly Network[] | null;
  /** Origins as browsers send them, or `*`. */
  readonly corsOrigins: readonly string[];
  readonly metricsAllow: readonly Network[];
  /** Null: on the port of the API. */
  readonly metricsPort: number | null;
  readonly bodyLimitBytes: number;
  readonly uploadLimitBytes: number;
  readonly docs: boolean;
}

export interface KeysConfig {
  readonly enabled: boolean;
  /** Secrets. */
  readonly adminKeys: readonly string[];
  /** A secret; null: made once and kept in the database. */
  readonly signingSecret: string | null;
  readonly rateLimitPerMinute: number;
  readonly addressRateLimitPerMinute: number;
}

/** A superset of `MediaLimits` of src/media. */
export interface LimitsConfig {
  readonly maxInputBytes: number;
  readonly maxDurationSeconds: number;
  readonly maxOperations: number;
  /** In either orientation. */
  readonly maxWidth: number;
  readonly maxHeight: number;
  /** Bits a second. */
  readonly maxBitrate: number;
  readonly maxOutputs: number;
  readonly allowRawOptions: boolean;
  readonly maxStreams: number;
  readonly jobTimeoutMs: number;
  readonly stallTimeoutMs: number;
}

export interface WorkerConfig {
  /** What this process may use, by affinity and quota. */
  readonly cpuCount: number;
  /** Jobs at the same time. */
  readonly concurrency: number;
  /** `auto`: shared out by what else runs. */
  readonly ffmpegThreads: number | "auto";
  /** All FFmpeg processes of this worker together. */
  readonly memoryLimitBytes: number;
  /** Absolute. */
  readonly tempDir: string;
  /** What `tempDir` may hold; a percentage is already resolved against the size of its disk. */
  readonly tempLimitBytes: number;
  readonly jobTypes: readonly JobType[];
  readonly priorities: readonly Priority[];
  readonly sandbox: SandboxMode;
  /** Absolute paths of programs; null: looked for on PATH. */
  readonly ffmpegPath: string | null;
  readonly ffprobePath: string | null;
  readonly vmafFfmpegPath: string | null;
  readonly packagerPath: string | null;
}

export interface QueueConfig {
  /** `tickIntervalMs × reapAfterTicks`: how long a silent worker keeps its jobs. */
  readonly leaseTtlMs: number;
  readonly tickIntervalMs: number;
  readonly reapAfterTicks: number;
  readonly poisonAfter: number;
  readonly maxAttempts: number;
  readonly publishTimeoutMs: number;
  /** Null: kept for ever. */
  readonly retentionJobsMs: number | null;
  readonly retentionOutputsMs: number | null;
  readonly retentionUploadsMs: number;
}

export interface DatabaseConfig {
  /** A secret; null: embedded, in `dataDir`. */
  readonly url: string | null;
  readonly replicaUrl: string | null;
  readonly poolSize: number;
  readonly statementTimeoutMs: number;
}

export interface RedisConfig {
  /** A secret; null: coordination in this process. */
  readonly url: string | null;
  readonly prefix: string;
}

interface BackendPolicy {
  readonly name: string;
  /** Whether jobs may read from it, and write to it. */
  readonly readable: boolean;
  readonly writable: boolean;
}

interface BucketConfig extends BackendPolicy {
  /** Or container. Null: the first part of each key names it. */
  readonly bucket: string | null;
  /** Without slashes at its ends; empty for the whole bucket. */
  readonly prefix: string;
}

export interface S3Config extends BucketConfig {
  readonly type: "s3";
  /** Null: AWS's own. */
  readonly endpoint: string | null;
  readonly region: string | null;
  /** Secrets; null: the SDK's own chain. */
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string } | null;
  readonly virtualHosts: boolean;
  readonly conditionalWrites: boolean;
  readonly checksums: boolean;
  readonly marks: boolean;
}

export interface AzureConfig extends BucketConfig {
  readonly type: "azure";
  /** Secrets, but for the URL. */
  readonly access: { readonly connectionString: string } | { readonly url: string; readonly sas: string | null };
}

export interface GcsConfig extends BucketConfig {
  readonly type: "gcs";
  readonly endpoint: string | null;
  /** Absolute; null: the SDK's own chain. */
  readonly keyFilename: string | null;
  readonly conditionalWrites: boolean;
}

export interface LocalConfig extends BackendPolicy {
  readonly type: "local";
  /** Absolute. */
  readonly path: string;
}

/** One named backend beside `local`. */
export type BackendConfig = S3Config | AzureConfig | GcsConfig | LocalConfig;

export interface StorageConfig {
  /** Absolute; the root of `local://` and of bare paths. */
  readonly path: string;
  /** Beside `local`: of STORAGE_CONFIG and of the plain variables. */
  readonly backends: readonly BackendConfig[];
  readonly allowPrivateNetworks: readonly Network[];
}

export interface TracesConfig {
  /** Where spans are posted, path and all. */
  readonly url: string;
  readonly protocol: OtlpProtocol;
  readonly compression: "none" | "gzip";
  /** Secrets: what a collector knows its clients by. */
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly serviceName: string;
  readonly resourceAttributes: Readonly<Record<string, string>>;
  readonly sampler: SamplerName;
  /** Which share of traces a sampler by ratio records, 0 to 1. */
  readonly samplerRatio: number;
}

export const OTLP_PROTOCOLS = ["http/protobuf", "http/json"] as const;
export type OtlpProtocol = (typeof OTLP_PROTOCOLS)[number];

/** OpenTelemetry's own names. */
export const SAMPLERS = [
  "parentbased_always_on",
  "parentbased_always_off",
  "parentbased_traceidratio",
  "always_on",
  "always_off",
  "traceidratio",
] as const;
export type SamplerName = (typeof SAMPLERS)[number];

export interface TelemetryConfig {
  /** Null: off. */
  readonly traces: TracesConfig | null;
}

export interface Config {
  readonly env: Environment;
  /** `embedded`: PGlite in `dataDir`. `cluster`: Postgres. */
  readonly profile: "embedded" | "cluster";
  readonly process: ProcessConfig;
  readonly http: HttpConfig;
  readonly keys: KeysConfig;
  readonly limits: LimitsConfig;
  readonly worker: WorkerConfig;
  readonly queue: QueueConfig;
  readonly database: DatabaseConfig;
  readonly redis: RedisConfig;
  readonly storage: StorageConfig;
  readonly telemetry: TelemetryConfig;
}
