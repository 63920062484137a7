/** What only shows when several settings are looked at together. */
import { join, sep } from "node:path";
import type { Config } from "./config.ts";
import type { ConfigProblem } from "./config-error.ts";
import { isLoopbackHost } from "./networks.ts";

type Check = (config: Config) => ConfigProblem | null;

const contains = (folder: string, path: string): boolean =>
  path === folder || path.startsWith(folder.endsWith(sep) ? folder : `${folder}${sep}`);

const CHECKS: readonly Check[] = [
  ({ keys, http }) =>
    keys.enabled || isLoopbackHost(http.host)
      ? null
      : {
          name: "ENABLE_API_KEYS",
          message: `can be false only with a loopback API_HOST such as 127.0.0.1, not with ${http.host}`,
        },
  ({ http }) =>
    http.ipAllowList?.length === 0
      ? { name: "IP_ALLOW_LIST", message: 'is "none": nobody could call; leave it out to let everyone call' }
      : null,
  ({ redis, database }) =>
    redis.url !== null && database.url === null
      ? { name: "REDIS_URL", message: "needs DATABASE_URL: replicas share one database" }
      : null,
  ({ process, redis }) =>
    process.role !== "combined" && redis.url === null
      ? { name: "RENDIFF_ROLE", message: `${process.role} needs REDIS_URL: without it there is one combined process` }
      : null,
  ({ redis }) =>
    redis.url !== null && /^rediss?\+cluster:/i.test(redis.url) && !/\{[^}]+\}/.test(redis.prefix)
      ? { name: "REDIS_PREFIX", message: "needs a part in braces with a Redis Cluster, which keeps its keys together" }
      : null,
  ({ redis, database, storage, process }) =>
    redis.url !== null && database.url !== null && storage.path === join(process.dataDir, "storage")
      ? { name: "STORAGE_PATH", message: "must name the folder that all replicas share when there is a REDIS_URL" }
      : null,
  ({ database }) =>
    database.replicaUrl !== null && database.url === null
      ? { name: "DATABASE_REPLICA_URL", message: "needs DATABASE_URL: the embedded database has no replica" }
      : null,
  ({ limits }) =>
    limits.stallTimeoutMs > limits.jobTimeoutMs
      ? { name: "STALL_TIMEOUT", message: "must not be longer than JOB_TIMEOUT" }
      : null,
  ({ storage, process }) =>
    contains(storage.path, process.dataDir)
      ? {
          name: "STORAGE_PATH",
          message: "must not contain DATA_DIR: the database and the admin key could be read as media",
        }
      : null,
  ({ storage, worker }) =>
    contains(storage.path, worker.tempDir) || contains(worker.tempDir, storage.path)
      ? { name: "TEMP_STORAGE", message: "and STORAGE_PATH must not contain each other: work folders are swept" }
      : null,
  ({ storage }) => {
    const names = storage.backends.map(({ name }) => name);
    const twice = names.find((name, index) => names.indexOf(name) !== index);
    return twice === undefined
      ? null
      : { name: "STORAGE_CONFIG", message: `names ${twice}, which plain variables describe too: give one of them` };
  },
  ({ worker, process }) =>
    contains(worker.tempDir, process.dataDir)
      ? { name: "TEMP_STORAGE", message: "must not contain DATA_DIR: work folders are swept" }
      : null,
];

export function checkTogether(config: Config): ConfigProblem[] {
  return CHECKS.map((check) => check(config)).filter((problem) => problem !== null);
}
