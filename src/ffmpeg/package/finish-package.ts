/** From what the packager wrote to outputs that may be published: read, checked, encrypted, and listed in their order. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { toEvidence } from "../../media/diagnose.ts";
import { parseMediaInfo } from "../../media/media-info.ts";
import { NO_MEDIA } from "../../media/plan/expect.ts";
import { checkFiles, checkPackage, type FoundMedia, type FoundPlaylist } from "../../media/streaming/check-package.ts";
import { mediaTypeOf } from "../../media/streaming/media-type.ts";
import { DASH_MANIFEST, MASTER } from "../../media/streaming/packager-args.ts";
import type { MediaInfo, OutputRole, PackagePlan, PlannedOutput } from "../../media/types.ts";
import { toResourceError } from "../../work-folders/errors.ts";
import { encryptPackage } from "./encrypt.ts";
import { type MediaReading, readRendition } from "./read-media.ts";
import { invalidPackage, readPackage } from "./read-package.ts";

export interface VerifiedOutput {
  readonly output: PlannedOutput;
  readonly media: MediaInfo;
}

export interface PackageFinishing extends MediaReading {
  readonly plan: PackagePlan;
}

const KEY_FILE = "out/key";

function outputOf(plan: PackagePlan, file: string, role: OutputRole): PlannedOutput {
  const name = `${plan.name}/${file}`;
  return { role, file: `${plan.folder}/${file}`, name, mediaType: mediaTypeOf(file), expect: NO_MEDIA };
}

/** All renditions as one film, so that an entry says what a player will find behind it. */
function wholeOf(plan: PackagePlan, infos: readonly MediaInfo[], seconds: number, format: "hls" | "dash"): MediaInfo {
  const base = parseMediaInfo({ format: {} });
  const streams = infos.flatMap(({ streams: [stream] }, index) => (stream === undefined ? [] : [{ ...stream, index }]));
  const named = streams.map((stream, index) => {
    const { language = null, bitrate = null } = plan.renditions[index] ?? {};
    return { ...stream, bitrate, language };
  });
  return { ...base, demuxers: [format], container: format, durationSeconds: seconds, streams: named };
}

const bytesOf = (workDir: string, file: string): MediaInfo =>
  parseMediaInfo({ format: { size: Bun.file(join(workDir, file)).size } });

/** Captions stay readable: not every player decrypts text, and what is said is in the sound too. */
const heardAndSeen = (plan: PackagePlan, playlists: ReadonlyMap<string, FoundPlaylist>): FoundPlaylist[] => {
  const text = plan.renditions.filter(({ kind }) => kind === "text").map(({ id }) => `${plan.segments}/${id}.m3u8`);
  return [...playlists.values()].filter(({ file }) => !text.includes(file));
};

/** Every segment is WebVTT, and there is something to read in one of them. */
async function checkCaptions(folder: string, id: string, { segments }: FoundPlaylist): Promise<void> {
  let lines = 0;
  for (const { file } of segments) {
    const text = await Bun.file(join(folder, file)).text();
    if (!text.startsWith("WEBVTT")) throw invalidPackage([`the segment ${file} is no WebVTT`]);
    lines += text.split("-->").length - 1;
  }
  if (lines === 0) throw invalidPackage([`the captions ${id} have no line`]);
}

function refuse(problems: readonly string[], workDir: string): void {
  if (problems.length > 0) throw invalidPackage(problems, toEvidence(problems[0] ?? "", [workDir]));
}

/**
 * Throws `output.invalid`, with what differs, for anything but a whole and playable package as planned, and `resource.disk`
 * when there is no room to look at it or to encrypt it.
 */
export async function finishPackage(finishing: PackageFinishing): Promise<readonly VerifiedOutput[]> {
  try {
    return await finish(finishing);
  } catch (error) {
    throw toResourceError(error);
  }
}

async function finish(finishing: PackageFinishing): Promise<readonly VerifiedOutput[]> {
  const { plan, workDir, signal } = finishing;
  const folder = join(workDir, plan.folder);
  // Their content is in the segments by now: room for putting these together.
  await rm(join(workDir, "out/renditions"), { recursive: true, force: true });
  const found = await readPackage(plan, folder);
  refuse(checkFiles(plan, found), workDir);
  const media = new Map<string, FoundMedia>();
  const infos: MediaInfo[] = [];
  for (const rendition of plan.renditions) {
    const playlist = found.playlists.get(`${plan.segments}/${rendition.id}.m3u8`);
    if (playlist === undefined) continue;
    signal?.throwIfAborted();
    if (rendition.kind === "text") {
      await checkCaptions(folder, rendition.id, playlist);
      continue;
    }
    const read = await readRendition(finishing, plan, rendition, playlist);
    media.set(rendition.id, read.media);
    infos.push(read.info);
  }
  refuse(checkPackage(plan, { ...found, media }), workDir);
  const { key } = finishing;
  if (plan.encryption !== "none" && key === null) throw new Error("An encrypted package needs its key.");
  if (plan.encryption === "aes-128" && key !== null)
    await encryptPackage(folder, heardAndSeen(plan, found.playlists), key, signal);
  const seconds = Math.max(
    ...[...found.playlists.values()].map(({ segments }) => segments.reduce((sum, one) => sum + one.seconds, 0)),
  );
  return listOutputs(finishing, [...found.files], {
    entry: (format) => wholeOf(plan, infos, seconds, format),
  });
}

interface Listing {
  entry(format: "hls" | "dash"): MediaInfo;
}

/** Segments first, then the playlists that name them, then the entries that name those. */
async function listOutputs(
  { plan, workDir, key }: PackageFinishing,
  files: readonly string[],
  { entry }: Listing,
): Promise<readonly VerifiedOutput[]> {
  const plain = (file: string, role: OutputRole): VerifiedOutput => {
    const output = outputOf(plan, file, role);
    return { output, media: bytesOf(workDir, output.file) };
  };
  const entries = new Set([MASTER, DASH_MANIFEST]);
  const inOrder = files
    .filter((file) => !entries.has(file))
    .sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  const isPlaylist = (file: string): boolean => file.endsWith(".m3u8");
  const segments = inOrder.filter((file) => !isPlaylist(file)).map((file) => plain(file, "segment"));
  // Without HLS its playlists have served the check and are nobody's.
  const playlists = plan.hls === null ? [] : inOrder.filter(isPlaylist).map((file) => plain(file, "manifest"));
  const first: VerifiedOutput[] = [];
  if (key !== null && plan.keyUri !== null) {
    await Bun.write(join(workDir, KEY_FILE), key.bytes);
    const output = { ...outputOf(plan, "", "key"), file: KEY_FILE, name: `${plan.name}.key` };
    first.push({ output, media: bytesOf(workDir, KEY_FILE) });
  }
  const last: VerifiedOutput[] = [
    ...(plan.hls === null ? [] : [{ output: outputOf(plan, plan.hls, "manifest"), media: entry("hls") }]),
    ...(plan.dash === null ? [] : [{ output: outputOf(plan, plan.dash, "manifest"), media: entry("dash") }]),
  ];
  return [...first, ...segments, ...playlists, ...last];
}
