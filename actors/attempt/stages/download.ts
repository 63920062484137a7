/** Brings the inputs to where FFmpeg can read them: in place where the backend allows it, else copied. */
import { join } from "node:path";
import { RendiffError } from "../../../src/errors.ts";
import { requireCaptionSize } from "../../../src/ffmpeg/captions.ts";
import type { InputKind } from "../../../src/media/operations/references.ts";
import type { MediaLimits } from "../../../src/media/types.ts";
import type { ObjectStat, StorageBackend } from "../../../src/storage/port.ts";
import { openRemote } from "../../../src/transfer/remote-input.ts";
import { inputFile, placeInput } from "../../../src/work-folders/place-input.ts";
import type { AttemptContext, Held, PreparedInput } from "../attempt.types.ts";
import { held } from "../attempt.types.ts";
import { fewAtOnce } from "../few-at-once.ts";
import type { AttemptPorts } from "../ports.ts";
import { reserve } from "../reserve.ts";
import { fileNameOf, type InputRef, runnableOf } from "../spec.ts";

/** Of one job's inputs. */
const LOOKS_AT_ONCE = 4;

interface Looked {
  readonly stat: ObjectStat;
  /** Where it can be read in place. */
  readonly localPath: string | null;
}

async function lookAt(ports: AttemptPorts, ref: InputRef, signal: AbortSignal): Promise<Looked> {
  const backend = ports.storage.backend(ref.backend);
  const looking = statInput(ports, backend, ref, signal);
  if (!backend.properties.inPlace) return { stat: await looking, localPath: null };
  const [stat, localPath] = await Promise.allSettled([looking, backend.localPath(ref.key)]);
  // What is wrong with the input says more than where it is not.
  if (stat.status === "rejected") throw stat.reason;
  if (localPath.status === "rejected") throw localPath.reason;
  return { stat: stat.value, localPath: localPath.value };
}

export async function download(
  ports: AttemptPorts,
  { claim, scope }: AttemptContext,
  signal: AbortSignal,
): Promise<Held<readonly PreparedInput[]>> {
  const { inputs } = runnableOf(claim.job, ports.storage);
  scope.processors = ports.processors.enter(claim.job.priority);
  // What waits for a disk or a store waits together.
  const creating = ports.workFolders.create(claim.lease);
  const looking = fewAtOnce(inputs, LOOKS_AT_ONCE, (ref) => lookAt(ports, ref, signal));
  await Promise.allSettled([creating, looking]);
  const workDir = await creating;
  scope.workDir = workDir;
  const looks = await looking;
  const prepared: PreparedInput[] = [];
  for (const [index, ref] of inputs.entries()) {
    const backend = ports.storage.backend(ref.backend);
    const { stat, localPath } = looks[index] as Looked;
    const base = { ref, sizeBytes: stat.sizeBytes, identity: stat.identity };
    if (localPath !== null) {
      const placed = await placeInput({ workDir, index, sourcePath: localPath, sandboxed: ports.tools.sandboxed });
      prepared.push({ ...base, ...placed, remote: null });
      continue;
    }
    const file = inputFile(index);
    const room = async (bytes: number): Promise<void> => {
      scope.reservations.push(await reserve(ports.workFolders, claim.lease, bytes));
    };
    const remote = await openRemote({
      ...{ backend, key: ref.key, stat, path: join(workDir, file), signal, reserve: room },
    });
    // Only what is streamed is not fetched now, and whether it will be is the plan's to say.
    if (!remote.layout.streams || ref.kind !== "media") await remote.complete(signal);
    ports.metrics.storageTransferred({ backend: ref.backend, direction: "download", bytes: remote.fetchedBytes() });
    prepared.push({ ...base, file, readOnly: [], remote });
  }
  return held(prepared);
}

/** The object as it is, if it can be an input of this kind: there, not empty, not too large. */
export function requireInput(
  stat: ObjectStat | null,
  kind: InputKind,
  { maxInputBytes }: Pick<MediaLimits, "maxInputBytes">,
): ObjectStat {
  if (stat === null) {
    throw new RendiffError({ kind: "input.not_found", publicMessage: "The input does not exist." });
  }
  if (stat.sizeBytes > maxInputBytes) {
    throw new RendiffError({
      kind: "input.too_large",
      publicMessage: `The input has ${stat.sizeBytes} bytes; at most ${maxInputBytes} are allowed (MAX_INPUT_SIZE).`,
    });
  }
  if (stat.sizeBytes === 0) {
    throw new RendiffError({ kind: "input.unreadable", publicMessage: "The input is empty." });
  }
  if (kind === "captions") requireCaptionSize(stat.sizeBytes);
  return stat;
}

export async function statInput(
  { limits }: AttemptPorts,
  backend: StorageBackend,
  ref: InputRef,
  signal: AbortSignal,
): Promise<ObjectStat> {
  const stat = await backend.stat(ref.key, signal);
  if (stat !== null) return requireInput(stat, ref.kind, limits);
  throw new RendiffError({
    kind: "input.not_found",
    publicMessage: `The input ${JSON.stringify(fileNameOf(ref))} does not exist.`,
  });
}
