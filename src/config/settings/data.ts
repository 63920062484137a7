import { connectionUrl, duration, durationOrNever, httpUrl, integer, networks, path, text } from "../kinds.ts";
import { optional, setting } from "../setting.ts";

export const queueSettings = {
  LEASE_TTL: setting(duration("300ms", "10m"), {
    default: "15s",
    meaning: "how long a worker that fell silent keeps its jobs",
  }),
  POISON_AFTER: setting(integer({ min: 1, max: 1_000 }), {
    default: "3",
    meaning: "crashes without a verdict before a job is failed as poisoned",
  }),
  MAX_ATTEMPTS: setting(integer({ min: 1, max: 1_000 }), {
    default: "3",
    meaning: "tries that ended with a retryable error before a job is failed",
  }),
  PUBLISH_TIMEOUT: setting(duration("1s", "24h"), {
    default: "10m",
    meaning: "how long publishing may go on failing before a job is settled as it stands",
  }),
  RETENTION_JOBS: setting(durationOrNever("1m", "36500d"), { default: "30d", meaning: "how long final jobs are kept" }),
  RETENTION_OUTPUTS: setting(durationOrNever("1m", "36500d"), {
    default: "never",
    meaning: "how long outputs are kept before they are deleted",
  }),
  RETENTION_UPLOADS: setting(duration("1m", "36500d"), { default: "24h", meaning: "how long uploads are kept" }),
};

export const databaseSettings = {
  DATABASE_URL: optional(connectionUrl(["postgres", "postgresql"]), {
    without: "embedded, in DATA_DIR",
    meaning: "the Postgres database",
    secret: true,
  }),
  DATABASE_REPLICA_URL: optional(connectionUrl(["postgres", "postgresql"]), {
    without: "none",
    meaning: "a read replica that serves lists",
    secret: true,
  }),
  DATABASE_POOL: setting(integer({ min: 1, max: 1_000 }), { default: "10", meaning: "connections to Postgres" }),
  STATEMENT_TIMEOUT: setting(duration("100ms", "10m"), { default: "5s", meaning: "the deadline of one statement" }),
};

export const redisSettings = {
  REDIS_URL: optional(
    connectionUrl(["redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"]),
    {
      without: "in process",
      meaning: "the Redis that replicas coordinate through",
      secret: true,
    },
  ),
  REDIS_PREFIX: setting(text("up to 64 printable characters without spaces", /^[\x21-\x7e]{1,64}$/), {
    default: "{rendiff}:",
    meaning: "what every key begins with; the braces keep a Redis Cluster's keys in one slot",
  }),
};

const WHOLE = /^\S.*$/s;

export const storageSettings = {
  STORAGE_PATH: optional(path, {
    without: "`DATA_DIR/storage`",
    meaning: "the root of `local://` and of bare paths",
  }),
  STORAGE_CONFIG: optional(path, { without: "none", meaning: "a YAML file of named backends" }),
  S3_ENDPOINT: optional(httpUrl, { without: "the SDK's own", meaning: "one S3 without YAML" }),
  S3_REGION: optional(text("a region", /^\S+$/), { without: "the SDK's own", meaning: "its region" }),
  S3_ACCESS_KEY_ID: optional(text("an access key", /^\S+$/), {
    without: "the SDK's own chain",
    meaning: "its access key",
    secret: true,
  }),
  S3_SECRET_ACCESS_KEY: optional(text("a secret key", /^\S+$/), {
    without: "the SDK's own chain",
    meaning: "its secret key",
    secret: true,
  }),
  AZURE_STORAGE_CONNECTION_STRING: optional(text("a connection string", WHOLE), {
    without: "the SDK's own",
    meaning: "one Azure account without YAML",
    secret: true,
  }),
  GOOGLE_APPLICATION_CREDENTIALS: optional(path, {
    without: "the SDK's own",
    meaning: "a file of Google credentials",
  }),
  GCS_ENDPOINT: optional(httpUrl, { without: "the SDK's own", meaning: "another address of Google Cloud Storage" }),
  ALLOW_PRIVATE_NETWORKS: setting(networks, {
    default: "none",
    meaning: "networks that webhooks and http inputs may reach although they are not public",
  }),
};
