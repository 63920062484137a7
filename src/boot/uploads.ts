/** Where uploads lie: in the storage folder, below what no client can name. */
import { join } from "node:path";
import type { Config } from "../config/config.ts";
import type { Coordination } from "../coordination/ports.ts";
import type { Sql } from "../database/sql.ts";
import { RESERVED_FOLDER } from "../storage/key.ts";
import type { StorageRegistry } from "../storage/port.ts";
import type { Logger } from "../telemetry/logger.ts";
import { makeUploadBytes } from "../uploads/bytes.ts";
import { makeUploads, type Uploads } from "../uploads/uploads.ts";

/** Of the storage folder that all replicas share. Absolute. */
export const uploadFolder = ({ path }: Pick<Config["storage"], "path">): string =>
  join(path, RESERVED_FOLDER, "uploads");

export interface UploadParts {
  readonly config: Config;
  readonly sql: Sql;
  readonly coordination: Coordination;
  readonly storage: StorageRegistry;
  readonly logger: Logger;
}

export function openUploads({ config, sql, coordination, storage, logger }: UploadParts): Uploads {
  return makeUploads({
    ...{ sql, bus: coordination.bus, logger, bytes: makeUploadBytes(uploadFolder(config.storage)) },
    freeBytes: () => storage.backend("local").freeBytes(),
    limitBytes: config.http.uploadLimitBytes,
    keepMs: config.queue.retentionUploadsMs,
  });
}
