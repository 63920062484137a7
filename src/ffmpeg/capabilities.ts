/**
 * What this worker's FFmpeg really can do: lists are read, and what plans use is tried with real work, inside the sandbox.
 * The result is kept on disk until a program changes, so a warm start costs a few `stat`s and no process.
 */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { RendiffError } from "../errors.ts";
import { hardware } from "../media/encoders/hardware.ts";
import { ALLOWED_DEMUXERS } from "../media/input-formats.ts";
import type { Ability, Capabilities } from "../media/types.ts";
import type { ProcessRunner } from "../process/port.ts";
import { parseCodecList, parseFilterList, parseFormatList, parseVersion } from "./capability-lists.ts";
import {
  ACCELERATORS,
  type Accelerator,
  ENCODER_TRIES,
  FILTER_TRIES,
  FONT_FILE,
  MUXER_TRIES,
  SCRIPT_FILE,
  SCRIPT_TEXT,
  SUBTITLE_FILE,
  SUBTITLE_TEXT,
} from "./capability-tries.ts";
import { type Abilities, type Bench, exercise } from "./exercise.ts";
import { readFont } from "./font.ts";
import { tryPackager } from "./packager.ts";
import { runTool } from "./run-tool.ts";
import type { MediaTools } from "./tools.ts";
import { tryVmaf } from "./vmaf.ts";

const DEVICES = [...new Set(ACCELERATORS.flatMap(({ devices }) => devices))];

/** To be counted up whenever something else is tried or kept. */
const RECIPE = 6;
const LIST_TIMEOUT_MS = 30_000;

export interface CapabilityRequest {
  readonly runner: ProcessRunner;
  readonly tools: MediaTools;
  /** The tools with the FFmpeg that VMAF_FFMPEG_PATH names; null: VMAF is the own FFmpeg's to measure. */
  readonly vmafTools?: MediaTools | null;
  /** Shaka Packager; null or absent: there is none. */
  readonly packager?: string | null;
  /** Made when it is missing; holds `capabilities-*.json`. */
  readonly cacheDir: string;
  /** Where things are tried, a folder that is there; the system's own for such things when absent. */
  readonly scratchDir?: string;
  /** Whether a device of an accelerator is on this machine, by its path. */
  isThere?(device: string): boolean;
}

type Exercised = Omit<Capabilities, "sandbox">;

interface Cached {
  readonly key: string;
  readonly capabilities: Exercised;
}

async function print(runner: ProcessRunner, program: string, args: readonly string[]) {
  const { exit, stdout } = await runTool({
    ...{ runner, program, args, timeoutMs: LIST_TIMEOUT_MS },
    limits: { addressSpaceBytes: null, fileBytes: null, cpuSeconds: 30, openFiles: 256 },
  });
  if (exit.exitCode === 0) return { stdout, banner: exit.stderrTail };
  throw new RendiffError({
    kind: "service.unavailable",
    publicMessage: "FFmpeg or ffprobe does not run on this machine.",
    cause: new Error(`${program} ended with ${exit.exitCode ?? exit.signal}: ${exit.stderrTail}`),
  });
}

const allOk = (names: readonly string[]): Abilities => Object.fromEntries(names.map((name) => [name, { ok: true }]));

const devicesHere = ({ isThere = existsSync }: CapabilityRequest): ReadonlySet<string> =>
  new Set(DEVICES.filter((path) => isThere(path)));

interface Hardware {
  readonly listed: ReadonlySet<string>;
  readonly present: ReadonlySet<string>;
}

async function tryAccelerator(bench: Bench, accelerator: Accelerator, { listed, present }: Hardware) {
  const { name, tries, head, devices } = accelerator;
  const here = devices.length === 0 ? process.platform === "darwin" : devices.some((path) => present.has(path));
  const built = tries.some((one) => listed.has(one.name));
  let encoders: Abilities;
  if (here || !built) encoders = await exercise({ ...bench, devices: hardware(name).devices }, tries, listed, head);
  else {
    const reason = `this machine has no device for ${name}`;
    encoders = Object.fromEntries(tries.map((one) => [one.name, { ok: false, reason }]));
  }
  const works = Object.values(encoders).find((ability) => ability.ok);
  const first: Ability = encoders[tries[0]?.name ?? ""] ?? { ok: false, reason: "nothing to try" };
  return { name, encoders, ability: works ?? first };
}

async function tryAccelerators(bench: Bench, machine: Hardware) {
  const encoders: Abilities = {};
  const accelerators: Abilities = {};
  for (const accelerator of ACCELERATORS) {
    const found = await tryAccelerator(bench, accelerator, machine);
    Object.assign(encoders, found.encoders);
    accelerators[found.name] = found.ability;
  }
  return { encoders, accelerators };
}

async function exerciseAll(request: CapabilityRequest, workDir: string): Promise<Exercised> {
  const { runner, tools, vmafTools = null, packager = null } = request;
  const list = (what: string) => print(runner, tools.ffmpegPath, [what]);
  const [encoders, filters] = await Promise.all([list("-encoders"), list("-filters")]);
  const [formats, decoders] = await Promise.all([list("-formats"), list("-decoders")]);
  const probe = await print(runner, tools.ffprobePath, ["-version"]);
  const version = parseVersion(encoders.banner);
  const { demuxers, muxers } = parseFormatList(formats.stdout);
  const filterNames = parseFilterList(filters.stdout);
  const listed = new Set(parseCodecList(encoders.stdout));

  await Bun.write(join(workDir, SUBTITLE_FILE), SUBTITLE_TEXT);
  await Bun.write(join(workDir, SCRIPT_FILE), SCRIPT_TEXT);
  await Bun.write(join(workDir, FONT_FILE), await readFont());
  const bench: Bench = { runner, ffmpegPath: tools.ffmpegPath, workDir };
  const [triedEncoders, triedFilters] = await Promise.all([
    exercise(bench, ENCODER_TRIES, listed),
    exercise(bench, FILTER_TRIES, new Set(filterNames)),
  ]);
  const [triedMuxers, hardware, vmaf, packages] = await Promise.all([
    exercise(bench, MUXER_TRIES, new Set(muxers)),
    tryAccelerators(bench, { listed, present: devicesHere(request) }),
    tryVmaf(runner, tools, vmafTools),
    tryPackager(runner, packager),
  ]);
  return {
    ffmpegVersion: version.text,
    ffmpegMajor: version.major,
    ffprobeVersion: parseVersion(probe.stdout).text,
    encoders: { ...triedEncoders, ...hardware.encoders },
    decoders: parseCodecList(decoders.stdout),
    filters: { ...allOk(filterNames), ...triedFilters },
    muxers: { ...allOk(muxers), ...triedMuxers },
    demuxers,
    accelerators: hardware.accelerators,
    vmaf,
    packager: packages,
    inputFormats: ALLOWED_DEMUXERS.filter((name) => demuxers.includes(name)),
  };
}

/**
 * What the result depends on: the programs, the libraries they load, the devices that are there (a container may get a
 * graphics card at its next start, or lose it), and whether the programs run boxed in.
 */
async function keyOf(request: CapabilityRequest): Promise<string> {
  const { tools, vmafTools, packager } = request;
  const vmaf = vmafTools == null ? [] : [vmafTools.ffmpegPath];
  const packages = packager == null ? [] : [packager];
  const paths = [tools.ffmpegPath, tools.ffprobePath, ...vmaf, ...packages, "/etc/ld.so.cache"];
  const files = await Promise.all(
    paths.map(async (path) => {
      const info = await stat(path).catch(() => null);
      return info === null ? [path] : [path, info.size, info.mtimeMs];
    }),
  );
  return JSON.stringify([RECIPE, request.runner.sandbox.mode, files, [...devicesHere(request)]]);
}

async function readCache(path: string, key: string): Promise<Exercised | null> {
  try {
    const cached = (await Bun.file(path).json()) as Cached;
    return cached.key === key ? cached.capabilities : null;
  } catch {
    // None yet, or one that a crash or a full disk left behind: everything is tried again.
    return null;
  }
}

async function writeCache(path: string, cached: Cached): Promise<void> {
  const scratch = `${path}.${Bun.randomUUIDv7()}`;
  try {
    await mkdir(dirname(path), { recursive: true });
    await Bun.write(scratch, JSON.stringify(cached));
    await rename(scratch, path);
  } catch {
    // A start without a cache is slower, not wrong.
    await rm(scratch, { force: true }).catch(() => {});
  }
}

/** Throws `service.unavailable` when FFmpeg or ffprobe does not run at all. */
export async function exerciseCapabilities(request: CapabilityRequest): Promise<Capabilities> {
  const { mode, reason } = request.runner.sandbox;
  const sandbox: Ability = mode === "bubblewrap" ? { ok: true } : { ok: false, reason };
  const name = Bun.hash(JSON.stringify(request.tools)).toString(36);
  const path = join(request.cacheDir, `capabilities-${name}.json`);
  const key = await keyOf(request);
  const known = await readCache(path, key);
  if (known !== null) return { ...known, sandbox };

  const workDir = await mkdtemp(join(request.scratchDir ?? tmpdir(), "rendiff-exercise-"));
  try {
    const capabilities = await exerciseAll(request, workDir);
    await writeCache(path, { key, capabilities });
    return { ...capabilities, sandbox };
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
}
