/** One job through the attempt actor with no server and no database: what `rendiff convert` runs. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toPromise } from "xstate";
import { makeAttemptLogic } from "../../actors/attempt/attempt.logic.ts";
import type { AttemptOutput } from "../../actors/attempt/attempt.types.ts";
import { fileNameOf, toRunnable } from "../../actors/attempt/spec.ts";
import { makeTerminalRecorder, type TerminalReport } from "../../actors/attempt/terminal-recorder.ts";
import { spawnRoot } from "../../actors/spawn-root.ts";
import type { Config } from "../config/config.ts";
import { makeMemoryCache } from "../coordination/memory/cache.ts";
import { makeProbeCache } from "../ffmpeg/probe-cache.ts";
import type { ConvertSpec } from "../jobs/convert.schema.ts";
import { makeLoneClaim } from "../jobs/lone-claim.ts";
import { checkOperations } from "../media/operations/check.ts";
import { openLocalBackend } from "../storage/local/local-backend.ts";
import { makeStorageRegistry } from "../storage/registry.ts";
import type { Logger } from "../telemetry/logger.ts";
import { makeMetrics } from "../telemetry/metrics.ts";
import { makeTracer } from "../telemetry/tracer.ts";
import { makeAttemptPorts } from "./attempt-ports.ts";
import { openMedia } from "./media-tools.ts";

export interface OnceRequest {
  readonly config: Config;
  readonly logger: Logger;
  /** Its places are `local:///` and an absolute path. */
  readonly spec: ConvertSpec;
  /** Aborting it cancels the job: FFmpeg is dead and nothing is left when the promise resolves. */
  readonly signal: AbortSignal;
  onReport(report: TerminalReport): void;
}

export async function convertOnce({ config, logger, spec, signal, onReport }: OnceRequest): Promise<AttemptOutput> {
  await using opened = new AsyncDisposableStack();
  const tempDir = await mkdtemp(join(tmpdir(), "rendiff-"));
  opened.defer(() => rm(tempDir, { recursive: true, force: true }));
  const backend = await openLocalBackend({ name: "local", root: "/" });
  opened.defer(() => backend.close());
  const storage = makeStorageRegistry([backend]);
  const media = await openMedia(config, logger);
  const { output, operations, options } = toRunnable(spec, storage);
  checkOperations({
    ...{ operations, options, outputName: fileNameOf(output) },
    ...{ capabilities: media.capabilities, limits: config.limits },
  });
  const ports = await makeAttemptPorts({
    config: { ...config, worker: { ...config.worker, tempDir, concurrency: 1 } },
    ...{ media, storage, logger, metrics: makeMetrics(), tracer: makeTracer({ sink: null }) },
    keepKey: null,
    probes: makeProbeCache(makeMemoryCache(), { capabilities: media.capabilities, limits: config.limits }),
    recorder: () => makeTerminalRecorder(onReport),
  });
  const actor = spawnRoot(makeAttemptLogic(ports), {
    id: "convert",
    input: { claim: makeLoneClaim({ spec }) },
    logger,
  });
  const cancel = (): void => actor.send({ type: "cancel.requested" });
  signal.addEventListener("abort", cancel, { once: true });
  if (signal.aborted) cancel();
  // Awaited here: what was opened is closed only after it.
  return await toPromise(actor);
}
