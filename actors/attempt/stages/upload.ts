/**
 * Moves the verified files to where no reader looks. The intent is on record before the first byte leaves, and the
 * handles before the fence, so that whatever dies in between can be cleaned up by anyone.
 */
import { join } from "node:path";
import { inPublishingOrder } from "../../../src/jobs/publish-order.ts";
import type { PublishManifest, PublishStep } from "../../../src/jobs/types.ts";
import { type TargetResult, targetWarnings, toResults, toTargetResult } from "../../../src/media/measure/results.ts";
import type { ObjectRef, StagedBytes, StagedObject } from "../../../src/storage/port.ts";
import { formatUri } from "../../../src/storage/uri.ts";
import { type AttemptContext, type Held, held, LEASE_LOST } from "../attempt.types.ts";
import { fewAtOnce } from "../few-at-once.ts";
import type { AttemptPorts } from "../ports.ts";
import { overall } from "../progress.ts";
import type { Recorder } from "../recorder.ts";
import { workDirOf } from "../scope.ts";
import { outputPlace, type RunnableSpec, runnableOf } from "../spec.ts";
import { takeEarly } from "./fill-early.ts";
import { fingerprintsOf } from "./reuse.ts";

/** Of one job; each may send several parts of its own. */
const UPLOADS_AT_ONCE = 4;

const nameOf = ({ backend, key }: ObjectRef): string => `${backend} ${key}`;

export async function upload(
  ports: AttemptPorts,
  recorder: Recorder,
  context: AttemptContext,
  signal: AbortSignal,
): Promise<Held<PublishManifest>> {
  const { claim, scope } = context;
  const spec = runnableOf(claim.job, ports.storage);
  const places = context.verified.map(({ output: { name } }) => outputPlace(spec.output, name));
  // Begun while the output was written, verified or copied from an earlier one, whatever came of it there: the row names one
  // for each key, and would forget it.
  const early = scope.staged;
  const begun = new Map(early.map((object) => [nameOf(object), object]));
  const known = places.map((place) => begun.get(nameOf(place)) ?? place);
  if (!(await recorder.stage("uploading", { staging: known }))) return LEASE_LOST;
  const owner = { jobId: claim.lease.jobId, leaseToken: claim.lease.leaseToken };
  const staged = await fewAtOnce(places, UPLOADS_AT_ONCE, async (place, ordinal): Promise<StagedObject> => {
    const own = begun.get(nameOf(place));
    if (own !== undefined) return own;
    const mediaType = context.verified[ordinal]?.output.mediaType;
    const object = await ports.storage.backend(place.backend).stage(place.key, owner, signal, mediaType);
    scope.staged = [...scope.staged, object];
    return object;
  });
  const isRecorded = places.every((place) => begun.has(nameOf(place)));
  if (!isRecorded && !(await recorder.staged(staged))) return LEASE_LOST;
  // Of an output that did not come about after all.
  for (const object of early.filter((one) => !staged.includes(one))) {
    const ahead = [...(context.encode?.ahead?.values() ?? [])].find((one) => one.staged === object);
    await ahead?.filled.catch(() => {});
    await ports.storage.backend(object.backend).abort(object, signal);
  }
  let sent = 0;
  const steps = await fewAtOnce(staged, UPLOADS_AT_ONCE, async (object, ordinal): Promise<PublishStep> => {
    const step = await fill(ports, context, { spec, ordinal, object, signal });
    sent += 1;
    const progress = overall("uploading", (sent / staged.length) * 100);
    recorder.progress({ stage: "uploading", progress, fps: null, speed: null, etaSeconds: null });
    return step;
  });
  return held(toManifest(ports, spec, context, inPublishingOrder(steps)));
}

interface Filling {
  readonly spec: RunnableSpec;
  readonly ordinal: number;
  readonly object: StagedObject;
  readonly signal: AbortSignal;
}

async function fill(
  ports: AttemptPorts,
  { verified, scope, encode, reuse }: AttemptContext,
  { spec, ordinal, object, signal }: Filling,
): Promise<PublishStep> {
  const one = verified[ordinal];
  if (one === undefined) throw new Error("An output was staged that was never verified.");
  const { output, media, prepared } = one;
  const send = async (): Promise<StagedBytes> => {
    const early = encode?.ahead?.get(output.file);
    const path = join(workDirOf(scope), output.file);
    const options = { mediaType: output.mediaType, signal, ...(prepared == null ? {} : { prepared }) };
    const backend = ports.storage.backend(object.backend);
    const bytes = await (early === undefined ? backend.fill(object, path, options) : takeEarly(early, path));
    ports.metrics.storageTransferred({ backend: object.backend, direction: "upload", bytes: bytes.sizeBytes });
    return bytes;
  };
  const staged = reuse?.reused?.copied.get(output.file) ?? (await send());
  return {
    ordinal,
    role: output.role,
    uri: formatUri(object),
    mediaType: output.mediaType,
    media,
    ifAbsent: spec.options.overwrite === false,
    staged,
  };
}

function toManifest(
  ports: AttemptPorts,
  spec: RunnableSpec,
  context: AttemptContext,
  steps: PublishStep[],
): PublishManifest {
  const { claim, encode, media, plan, reuse } = context;
  const reused = reuse?.reused ?? null;
  const inputs = reused === null ? context.inputs : (reuse?.inputs ?? []);
  const inputBytes = inputs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const outputBytes = steps.reduce((sum, { staged }) => sum + staged.sizeBytes, 0);
  const outSeconds = (plan?.steps ?? []).reduce((sum, step) => Math.max(sum, step.durationSeconds ?? 0), 0);
  const target = targetOf(context);
  const encodeSeconds = (encode?.wallMs ?? 0) / 1000;
  return {
    leaseToken: claim.lease.leaseToken,
    steps,
    results: reused === null ? resultsOf(context) : { ...asObject(reused.results), reused_from: reused.jobId },
    metrics: {
      input_bytes: inputBytes,
      output_bytes: outputBytes,
      ...(outputBytes > 0 ? { compression_ratio: round(inputBytes / outputBytes) } : {}),
      encode_seconds: round(encodeSeconds),
      ...(encode?.cpuMs == null ? {} : { encode_cpu_seconds: round(encode.cpuMs / 1000) }),
      ...(encode?.memoryBytesPeak ? { memory_bytes_peak: encode.memoryBytesPeak } : {}),
      ...(encodeSeconds > 0 && outSeconds > 0 ? { speed: round(outSeconds / encodeSeconds) } : {}),
    },
    warnings: reused?.warnings ?? [
      ...media.flatMap((info) => info.warnings),
      ...(plan?.warnings ?? []),
      ...(target === null ? [] : targetWarnings(target)),
    ],
    fingerprints: fingerprintsOf(ports, spec, inputs, reuse),
  };
}

function targetOf({ encode, plan }: AttemptContext): TargetResult | null {
  if (encode?.search == null || plan?.search === undefined) return null;
  return toTargetResult(plan.search, encode.search, encode.findings ?? {});
}

function resultsOf(context: AttemptContext): Readonly<Record<string, unknown>> | null {
  const { encode } = context;
  if (encode === null) return null;
  const target = targetOf(context);
  const results = {
    ...toResults(encode.findings ?? {}),
    ...(encode.loudness.length === 0 ? {} : { loudness: encode.loudness }),
    ...(target === null ? {} : { target }),
  };
  return Object.keys(results).length === 0 ? null : results;
}

const asObject = (value: unknown): object => (typeof value === "object" && value !== null ? value : {});

const round = (value: number): number => Math.round(value * 1000) / 1000;
