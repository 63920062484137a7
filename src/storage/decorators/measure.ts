/** How long each call took and how it ended. */
import { RendiffError } from "../../errors.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import type { StorageBackend } from "../port.ts";
import { type Around, aroundCalls } from "./around.ts";

export function withMetrics(backend: StorageBackend, metrics: Pick<Metrics, "storageCalled">): StorageBackend {
  const around: Around = async (operation, signal, work) => {
    const startedAt = performance.now();
    let outcome = "ok";
    try {
      return await work(signal);
    } catch (error) {
      outcome = error instanceof RendiffError ? error.kind : "aborted";
      throw error;
    } finally {
      const seconds = (performance.now() - startedAt) / 1000;
      metrics.storageCalled({ backend: backend.name, operation, outcome, seconds });
    }
  };
  return aroundCalls(backend, around);
}
