/** A package's playlists and manifest as parsers that are not the packager's read them. */
import { readdir, stat } from "node:fs/promises";
import { join, posix } from "node:path";
import * as hls from "hls-parser";
import type { MasterPlaylist, MediaPlaylist } from "hls-parser/types";
import { parse as parseMpd } from "mpd-parser";
import { RendiffError } from "../../errors.ts";
import type { FoundPackage, FoundPlaylist, FoundVariant } from "../../media/streaming/check-package.ts";
import { DASH_MANIFEST, MASTER } from "../../media/streaming/packager-args.ts";
import type { PackagePlan } from "../../media/types.ts";

// What is wrong is thrown, and told by whoever catches it.
hls.setOptions({ silent: true });

/** Relative names are resolved against it and taken off it again: only what lies in the folder can be named. */
const BASE = "https://package.invalid/";

export function invalidPackage(problems: readonly string[], evidence = ""): RendiffError {
  const shown = problems.slice(0, 5).join("; ");
  return new RendiffError({
    kind: "output.invalid",
    retry: "backoff",
    publicMessage: `The finished package is not what was planned: ${shown}${problems.length > 5 ? "; …" : ""}.`,
    ...(evidence === "" ? {} : { evidence }),
  });
}

/** From a name in `from` to one below the folder; a name that leads out of it is kept, and is then no file of it. */
const resolve = (from: string, name: string): string => posix.join(posix.dirname(from), name);

async function readText(folder: string, file: string): Promise<string> {
  try {
    return await Bun.file(join(folder, file)).text();
  } catch {
    throw invalidPackage([`${file} is missing`]);
  }
}

async function parsePlaylist(folder: string, file: string): Promise<MasterPlaylist | MediaPlaylist> {
  const text = await readText(folder, file);
  try {
    return hls.parse(text) as MasterPlaylist | MediaPlaylist;
  } catch {
    throw invalidPackage([`${file} is no valid playlist`]);
  }
}

async function readPlaylist(folder: string, file: string): Promise<FoundPlaylist> {
  const playlist = await parsePlaylist(folder, file);
  if (playlist.isMasterPlaylist) throw invalidPackage([`${file} is no media playlist`]);
  const map = playlist.segments.find((segment) => segment.map !== null && segment.map !== undefined)?.map ?? null;
  const segments = await Promise.all(
    playlist.segments.map(async ({ uri, duration }) => {
      const name = resolve(file, uri);
      const info = await stat(join(folder, name)).catch(() => null);
      return { file: name, seconds: duration, sizeBytes: info?.size ?? 0 };
    }),
  );
  return {
    ...{ file, targetSeconds: playlist.targetDuration, ended: playlist.endlist, segments },
    init: map?.uri === undefined ? null : resolve(file, map.uri),
  };
}

function namesOfDash(text: string): ReadonlySet<string> {
  const manifest = parseMpd(text, { manifestUri: `${BASE}${DASH_MANIFEST}` });
  const grouped = Object.values(manifest.mediaGroups).flatMap((groups) =>
    Object.values(groups).flatMap((group) => Object.values(group).flatMap(({ playlists }) => playlists)),
  );
  const names = [...manifest.playlists, ...grouped].flatMap(({ segments }) =>
    segments.flatMap(({ resolvedUri, map }) => [resolvedUri, ...(map === undefined ? [] : [map.resolvedUri])]),
  );
  // A stream without an initialisation segment has the manifest's own address for one.
  const others = names.filter((name) => name !== `${BASE}${DASH_MANIFEST}`);
  return new Set(others.map((name) => (name.startsWith(BASE) ? name.slice(BASE.length) : name)));
}

async function readDash(folder: string): Promise<ReadonlySet<string>> {
  const text = await readText(folder, DASH_MANIFEST);
  try {
    return namesOfDash(text);
  } catch {
    throw invalidPackage([`${DASH_MANIFEST} is no valid manifest`]);
  }
}

async function filesIn(folder: string): Promise<ReadonlySet<string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const names = entries
    .filter((entry) => entry.isFile())
    .map((entry) => posix.relative(folder, posix.join(entry.parentPath, entry.name)));
  return new Set(names);
}

const namesOf = (renditions: readonly { readonly uri?: string | undefined }[]): readonly string[] =>
  renditions.flatMap(({ uri }) => (uri === undefined ? [] : [posix.normalize(uri)]));

function toVariant(variant: MasterPlaylist["variants"][number]): FoundVariant {
  const { resolution, frameRate, codecs, bandwidth, averageBandwidth, uri } = variant;
  return {
    ...{ playlist: posix.normalize(uri), bandwidth, averageBandwidth: averageBandwidth ?? null },
    codecs: (codecs ?? "").split(",").map((one) => one.trim()),
    width: resolution?.width ?? null,
    height: resolution?.height ?? null,
    fps: frameRate ?? null,
    audio: namesOf(variant.audio),
    captions: namesOf(variant.subtitles),
  };
}

/** Everything but what lies inside the segments. Throws `output.invalid` when it cannot be parsed. */
export async function readPackage(plan: PackagePlan, folder: string): Promise<Omit<FoundPackage, "media">> {
  const master = await parsePlaylist(folder, MASTER);
  if (!master.isMasterPlaylist) throw invalidPackage([`${MASTER} is no multivariant playlist`]);
  const names = new Set<string>();
  for (const { uri, audio, subtitles } of master.variants) {
    names.add(posix.normalize(uri));
    for (const one of [...audio, ...subtitles]) if (one.uri !== undefined) names.add(posix.normalize(one.uri));
  }
  const playlists = new Map<string, FoundPlaylist>();
  for (const name of names) playlists.set(name, await readPlaylist(folder, name));
  return {
    variants: master.variants.filter(({ isIFrameOnly }) => isIFrameOnly !== true).map(toVariant),
    playlists,
    dash: plan.dash === null ? null : await readDash(folder),
    files: await filesIn(folder),
    entries: [MASTER, ...(plan.dash === null ? [] : [DASH_MANIFEST])],
  };
}
