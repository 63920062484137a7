/** Brings the inputs to where FFmpeg can read them: in place where the backend allows it, else copied. */
import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { RendiffError } from "../../../src/errors.ts";
import type { ObjectRef, ObjectStat, StorageBackend } from "../../../src/storage/port.ts";
import { inputFile, placeInput } from "../../../src/work-folders/place-input.ts";
import type { AttemptContext, Held, PreparedInput } from "../attempt.types.ts";
import { held } from "../attempt.types.ts";
import type { AttemptPorts } from "../ports.ts";
import { reserve } from "../reserve.ts";
import { fileNameOf, runnableOf } from "../spec.ts";

export async function download(
  ports: AttemptPorts,
  { claim, scope }: AttemptContext,
  signal: AbortSignal,
): Promise<Held<readonly PreparedInput[]>> {
  const { inputs } = runnableOf(claim.job, ports.storage);
  const workDir = await ports.workFolders.create(claim.lease);
  scope.workDir = workDir;
  const prepared: PreparedInput[] = [];
  for (const [index, ref] of inputs.entries()) {
    const backend = ports.storage.backend(ref.backend);
    const stat = await statInput(ports, backend, ref, signal);
    const localPath = backend.properties.inPlace ? await backend.localPath(ref.key) : null;
    const base = { ref, sizeBytes: stat.sizeBytes, identity: stat.identity };
    if (localPath !== null) {
      const placed = await placeInput({ workDir, index, sourcePath: localPath, sandboxed: ports.tools.sandboxed });
      prepared.push({ ...base, ...placed });
      continue;
    }
    scope.reservations.push(await reserve(ports.workFolders, claim.lease, stat.sizeBytes));
    const { stream } = await backend.open(ref.key, { ifIdentity: stat.identity, signal });
    const file = inputFile(index);
    await pipeline(Readable.fromWeb(stream as never), createWriteStream(join(workDir, file)), { signal });
    ports.metrics.storageTransferred({ backend: ref.backend, direction: "download", bytes: stat.sizeBytes });
    prepared.push({ ...base, file, readOnly: [] });
  }
  return held(prepared);
}

async function statInput(
  { limits }: AttemptPorts,
  backend: StorageBackend,
  ref: ObjectRef,
  signal: AbortSignal,
): Promise<ObjectStat> {
  const stat = await backend.stat(ref.key, signal);
  if (stat === null) {
    throw new RendiffError({
      kind: "input.not_found",
      publicMessage: `The input ${JSON.stringify(fileNameOf(ref))} does not exist.`,
    });
  }
  if (stat.sizeBytes > limits.maxInputBytes) {
    throw new RendiffError({
      kind: "input.too_large",
      publicMessage: `The input has ${stat.sizeBytes} bytes; at most ${limits.maxInputBytes} are allowed (MAX_INPUT_SIZE).`,
    });
  }
  if (stat.sizeBytes === 0) {
    throw new RendiffError({ kind: "input.unreadable", publicMessage: "The input is empty." });
  }
  return stat;
}
