/** One connection to Redis, of any of its forms. It never queues while it is down: callers fall back at once. */
import { readFileSync } from "node:fs";
import type { ConnectionOptions } from "node:tls";
import { Cluster, Redis, type RedisOptions } from "ioredis";
import type { RedisTarget } from "./url.ts";

export type RedisClient = Redis | Cluster;
/** Its optional properties may not be undefined in some places and may in others. */
type Options = Omit<RedisOptions, "replyMapping">;

export interface ConnectOptions {
  readonly target: RedisTarget;
  /** Of each command; a command that is late still runs when a frozen server thaws. */
  readonly commandTimeoutMs: number;
  readonly name: string;
  /** Connection errors, which repeat while it is down. */
  onError(error: unknown): void;
}

const RETRY_MS_MAX = 500;
const retryDelay = (times: number): number => Math.min(50 * times, RETRY_MS_MAX);

function tlsOf({ tls, caFile }: RedisTarget): ConnectionOptions | null {
  if (!tls) return null;
  return caFile === null ? {} : { ca: readFileSync(caFile, "utf8") };
}

function optionsOf({ target, commandTimeoutMs, name }: ConnectOptions): Options {
  const tls = tlsOf(target);
  return {
    ...{ connectionName: name, commandTimeout: commandTimeoutMs, connectTimeout: 2_000, keepAlive: 5_000 },
    // What was not answered is not sent again: nobody waits for it any more.
    ...{ autoResendUnfulfilledCommands: false, maxRetriesPerRequest: 0, autoResubscribe: false },
    ...(target.username === null ? {} : { username: target.username }),
    ...(target.password === null ? {} : { password: target.password }),
    ...(tls === null ? {} : { tls }),
  };
}

export function connect(options: ConnectOptions): RedisClient {
  const { target, onError } = options;
  const shared = optionsOf(options);
  const client = target.mode === "cluster" ? connectCluster(options, shared) : connectOne(target, shared);
  // Without a listener each failed try would be printed by the library.
  client.on("error", onError);
  // One that is dropped while it asks the Sentinels for the master (a failover does that) ends for good otherwise.
  client.on("end", () => setTimeout(() => closed.has(client) || client.connect().catch(onError), RETRY_MS_MAX).unref());
  return client;
}

const closed = new WeakSet<RedisClient>();

/** Ends a connection for good. */
export function close(client: RedisClient): void {
  closed.add(client);
  client.disconnect();
}

/** Makes a connection anew that has fallen silent; one that is being made already is left alone. */
export function drop(client: RedisClient): void {
  if (client.status === "ready") client.disconnect(true);
}

function connectCluster({ target }: ConnectOptions, redisOptions: Options): Cluster {
  return new Cluster([...target.addresses], {
    // The connections to its nodes are made by their first commands, which wait for that within their deadline.
    ...{ redisOptions, enableOfflineQueue: true, clusterRetryStrategy: retryDelay, slotsRefreshTimeout: 2_000 },
    ...{ retryDelayOnFailover: 0, retryDelayOnClusterDown: 0, maxRedirections: 4 },
    // Certificates are checked by the name that was given, not by what it resolves to.
    ...(target.tls ? { dnsLookup: (address, done) => done(null, address) } : {}),
  });
}

function connectOne(target: RedisTarget, shared: Options): Redis {
  const rest: Options = { ...shared, enableOfflineQueue: false, retryStrategy: retryDelay, db: target.database };
  const [first] = target.addresses;
  if (target.mode === "single") return new Redis({ ...rest, ...first });
  return new Redis({
    ...rest,
    ...{ sentinels: [...target.addresses], name: target.master ?? "", sentinelRetryStrategy: retryDelay },
    // Follows a failover without waiting for the old master to be missed.
    ...{ failoverDetector: true, sentinelCommandTimeout: 2_000 },
    ...(target.sentinelPassword === null ? {} : { sentinelPassword: target.sentinelPassword }),
    ...(target.tls ? { enableTLSForSentinelMode: true, ...(shared.tls ? { sentinelTLS: shared.tls } : {}) } : {}),
  });
}
