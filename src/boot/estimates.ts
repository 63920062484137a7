/**
 * `POST /estimate` on this machine: the inputs where a plan finds them, the plan's parts, and what they say of the whole. Two
 * at a time in a process: whoever asks for more is asked to come back, before anything is fetched.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileNameOf, type InputRef, toRunnable } from "../../actors/attempt/spec.ts";
import { requireInput } from "../../actors/attempt/stages/download.ts";
import type { MediaService } from "../../plugins/context.ts";
import { RendiffError } from "../errors.ts";
import { estimable } from "../media/plan/estimable.ts";
import type { PlanInput } from "../media/types.ts";
import { openRemote } from "../transfer/remote-input.ts";
import { inputFile, placeInput } from "../work-folders/place-input.ts";
import { estimateIn, type Placed } from "./media-estimate.ts";
import { ESTIMATES_AT_ONCE_MAX } from "./media-remote.ts";
import type { MediaServicePorts } from "./media-service.ts";

function makeGate(): <Value>(work: () => Promise<Value>) => Promise<Value> {
  let running = 0;
  return async (work) => {
    if (running >= ESTIMATES_AT_ONCE_MAX)
      throw new RendiffError({
        kind: "service.unavailable",
        publicMessage: "Other estimates are under way; ask again when they are done.",
        retryAfterSeconds: 10,
      });
    running += 1;
    try {
      return await work();
    } finally {
      running -= 1;
    }
  };
}

interface Placing {
  readonly index: number;
  readonly workDir: string;
  readonly signal: AbortSignal;
  reserve(bytes: number): Promise<void>;
}

export function makeEstimates({
  media,
  storage,
  limits,
  threads,
}: Omit<MediaServicePorts, "probes">): MediaService["estimate"] {
  const gated = makeGate();

  /** An input where FFmpeg will look for it: bound there, or fetched whole. */
  async function place(ref: InputRef, { index, workDir, reserve, signal }: Placing): Promise<Placed["readOnly"]> {
    const backend = storage.backend(ref.backend);
    const found = requireInput(await backend.stat(ref.key, signal), ref.kind, limits);
    const sourcePath = backend.properties.inPlace ? await backend.localPath(ref.key) : null;
    const { sandboxed } = media.tools;
    if (sourcePath !== null) return (await placeInput({ workDir, index, sourcePath, sandboxed })).readOnly;
    const path = join(workDir, inputFile(index));
    const remote = await openRemote({ backend, key: ref.key, stat: found, path, signal, reserve });
    await remote.complete(signal);
    return [];
  }
  const estimate: MediaService["estimate"] = (spec, signal) =>
    media.inScratch(async (workDir, reserve) => {
      const runnable = toRunnable(spec, storage);
      await mkdir(join(workDir, "in"));
      const placed = { workDir, readOnly: [] as Placed["readOnly"][number][], reserve };
      const inputs: PlanInput[] = [];
      for (const [index, ref] of runnable.inputs.entries()) {
        placed.readOnly.push(...(await place(ref, { index, workDir, reserve, signal })));
        const file = inputFile(index);
        const at = { workDir, kind: ref.kind, signal };
        const readOnly = placed.readOnly.filter(({ target }) => target === join(workDir, file));
        inputs.push({ file, media: await media.tools.probe(file, { ...at, readOnly }) });
      }
      const { operations, options, output } = runnable;
      const wanted = estimable({
        ...{ operations, options, outputName: fileNameOf(output), inputs },
        ...{ capabilities: media.capabilities, limits, threads },
      });
      return { ...(await estimateIn(media, wanted, placed, signal)), warnings: wanted.warnings };
    });
  return (spec, signal) => gated(() => estimate(spec, signal));
}
