/** What several workers can do together: a job is refused by name only when none of them could run it. */
import type { VmafAbility } from "./measure/vmaf-ability.ts";
import type { Ability, Capabilities } from "./types.ts";

type Abilities = Readonly<Record<string, Ability>>;

function unionOf(all: readonly Abilities[]): Abilities {
  const union: Record<string, Ability> = {};
  for (const abilities of all) {
    for (const [name, ability] of Object.entries(abilities)) {
      if (union[name]?.ok !== true) union[name] = ability;
    }
  }
  return union;
}

const namesOf = (lists: readonly (readonly string[])[]): readonly string[] => [...new Set(lists.flat())].sort();

/** With every model that one of them has. */
function vmafOf(all: readonly Capabilities[]): VmafAbility | undefined {
  const found = all.flatMap(({ vmaf }) => vmaf ?? []);
  const working = found.filter((one) => one.ok);
  const [first] = working;
  if (first === undefined) return found[0];
  const { models: _, ...rest } = first;
  const lists = working.flatMap(({ models }) => (models === undefined ? [] : [models]));
  return lists.length < working.length ? rest : { ...rest, models: namesOf(lists) };
}

/** Null when nobody has said anything. Versions are those of the newest FFmpeg among them. */
export function uniteCapabilities(all: readonly Capabilities[]): Capabilities | null {
  const [newest] = all.toSorted((a, b) => b.ffmpegMajor - a.ffmpegMajor);
  if (newest === undefined) return null;
  if (all.length === 1) return newest;
  const packagers = all.flatMap(({ packager }) => packager ?? []);
  const packager = packagers.find(({ ok }) => ok) ?? packagers[0];
  const vmaf = vmafOf(all);
  return {
    ...newest,
    ...(packager === undefined ? {} : { packager }),
    ...(vmaf === undefined ? {} : { vmaf }),
    encoders: unionOf(all.map(({ encoders }) => encoders)),
    filters: unionOf(all.map(({ filters }) => filters)),
    muxers: unionOf(all.map(({ muxers }) => muxers)),
    accelerators: unionOf(all.map(({ accelerators }) => accelerators)),
    decoders: namesOf(all.map(({ decoders }) => decoders)),
    demuxers: namesOf(all.map(({ demuxers }) => demuxers)),
    inputFormats: namesOf(all.map(({ inputFormats }) => inputFormats)),
    sandbox: all.find(({ sandbox }) => !sandbox.ok)?.sandbox ?? newest.sandbox,
  };
}
