/**
 * Kinds of workers: those of one kind have the same FFmpeg and hardware, so that what one can run all of them can.
 *
 * A job says on which kinds it cannot run, not on which it can: a kind that nobody has seen yet may try, and a worker that
 * finds a job to be beyond it passes it on with its own kind added. So a fleet that is upgraded starves nobody.
 */
import { checkOperations } from "../media/operations/check.ts";
import { parseOperations } from "../media/operations/parse.ts";
import type { Ability, Capabilities, MediaLimits } from "../media/types.ts";
import type { ConvertSpec } from "./convert.schema.ts";

export interface Kind {
  readonly name: string;
  readonly capabilities: Capabilities;
}

type Abilities = Readonly<Record<string, Ability>>;

const working = (abilities: Abilities): string[] =>
  Object.entries(abilities)
    .flatMap(([name, { ok }]) => (ok ? [name] : []))
    .sort();

/** For people its FFmpeg and its accelerators; for the rest a digest of everything that works there. */
export function kindOf(capabilities: Capabilities): string {
  const { ffmpegVersion, accelerators, encoders, filters, muxers, decoders, demuxers, packager, vmaf } = capabilities;
  const all = [encoders, filters, muxers].map(working);
  const digest = new Bun.CryptoHasher("sha256")
    .update(JSON.stringify([...all, [...decoders].sort(), [...demuxers].sort(), packager?.ok ?? null, vmaf ?? null]))
    .digest("hex");
  return `${[`ffmpeg-${ffmpegVersion}`, ...working(accelerators)].join("+").replaceAll("/", "_")}#${digest.slice(0, 8)}`;
}

/**
 * The names of those kinds that cannot run what `spec` asks for, sorted. Throws `request.unsupported`, as one of them says
 * it, when none can: what takes two of them together, no worker does.
 */
export function unfitKinds(kinds: readonly Kind[], spec: ConvertSpec, limits: MediaLimits): string[] {
  if (kinds.length < 2) return [];
  const operations = parseOperations(spec.operations);
  const { options, output: outputName } = spec;
  const refusals = new Map<string, unknown>();
  for (const { name, capabilities } of kinds) {
    try {
      checkOperations({ operations, options, outputName, capabilities, limits });
    } catch (error) {
      refusals.set(name, error);
    }
  }
  if (refusals.size === kinds.length) throw [...refusals.values()].at(-1);
  return [...refusals.keys()].sort();
}
