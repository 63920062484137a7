/** The backends of a deployment, opened at once; an SDK is loaded only where one of its backends is configured. */
import type { BackendConfig, StorageConfig } from "../config/config.ts";
import { UPLOAD_BACKEND } from "../jobs/uploads.ts";
import type { UrlGuard } from "../security/outbound/url-guard.ts";
import { withDeadlines } from "../storage/decorators/deadline.ts";
import { withMetrics } from "../storage/decorators/measure.ts";
import { withRetries } from "../storage/decorators/retry.ts";
import { openHttpBackend } from "../storage/http/http-backend.ts";
import { openLocalBackend } from "../storage/local/local-backend.ts";
import type { StorageBackend, StorageRegistry } from "../storage/port.ts";
import { makeStorageRegistry } from "../storage/registry.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { uploadFolder } from "./uploads.ts";

/** What a store elsewhere needs that a folder does not: its calls fail now and then, hang, and are worth measuring. */
const seasoned = (backend: StorageBackend, metrics: Metrics): StorageBackend =>
  withRetries(withMetrics(withDeadlines(backend), metrics));

/** It has deadlines of its own, and is many servers, of which no one figure says anything. */
const onTheWeb = (name: "http" | "https", guard: UrlGuard): StorageBackend =>
  withRetries(openHttpBackend({ name, guard }));

async function openBackend(config: BackendConfig): Promise<StorageBackend> {
  switch (config.type) {
    case "local":
      return await openLocalBackend({ ...config, root: config.path });
    case "s3":
      return await (await import("../storage/s3/s3-backend.ts")).openS3Backend(config);
    case "azure":
      return await (await import("../storage/azure/azure-backend.ts")).openAzureBackend(config);
    case "gcs":
      return await (await import("../storage/gcs/gcs-backend.ts")).openGcsBackend(config);
  }
}

export interface OpenStorage extends StorageRegistry {
  close(): Promise<void>;
}

export interface StorageParts {
  readonly storage: StorageConfig;
  /** The door to `http://` and `https://`. */
  readonly guard: UrlGuard;
  readonly metrics: Metrics;
}

/** Reaches no server: a store that is away must not keep the service from starting. */
export async function openStorage({ storage, guard, metrics }: StorageParts): Promise<OpenStorage> {
  const local: BackendConfig = { type: "local", name: "local", path: storage.path, readable: true, writable: true };
  // Written by `/uploads` alone.
  const uploads: BackendConfig = {
    ...{ type: "local", name: UPLOAD_BACKEND, path: uploadFolder(storage), readable: true, writable: false },
  };
  const results = await Promise.allSettled([local, uploads, ...storage.backends].map(openBackend));
  const backends = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  const close = async (): Promise<void> => {
    await Promise.all(backends.map((backend) => backend.close()));
  };
  const failed = results.find((result) => result.status === "rejected");
  if (failed !== undefined) {
    await close();
    throw failed.reason;
  }
  const web = (["http", "https"] as const).map((name) => onTheWeb(name, guard));
  const ready = backends.map((backend) => (backend.properties.inPlace ? backend : seasoned(backend, metrics)));
  return { ...makeStorageRegistry([...ready, ...web]), close };
}
