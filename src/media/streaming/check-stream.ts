/** What can be judged of a package before its input is looked at. */
import type { ErrorDetail } from "../../errors.ts";
import { audioEncoder, chooseEncoder, videoEncoder } from "../encoders/registry.ts";
import { noSuchName } from "../operations/check-codec.ts";
import type { ConvertOptions } from "../operations/options.schema.ts";
import type { Operation } from "../operations/parse.ts";
import type { StreamOperation } from "../operations/stream.schema.ts";
import type { Capabilities, MediaLimits } from "../types.ts";

/** Operations that may stand beside `stream`: they change the picture or the sound before it is encoded. */
const COMPANIONS: readonly Operation["type"][] = ["trim", "scale", "crop", "pad", "rotate", "flip", "audio"];

export const streamOf = (operations: readonly Operation[]): StreamOperation | null =>
  operations.find((operation): operation is StreamOperation => operation.type === "stream") ?? null;

export interface StreamCheck {
  readonly operations: readonly Operation[];
  readonly options: ConvertOptions;
  readonly capabilities: Capabilities | null;
  readonly limits: MediaLimits;
}

interface Problems {
  readonly invalid: ErrorDetail[];
  readonly unsupported: ErrorDetail[];
}

/** Options of a file that mean nothing for a package. */
const FILE_OPTIONS = ["format", "faststart", "metadata"] as const;

function checkOthers({ operations, options }: StreamCheck, { invalid, unsupported }: Problems): void {
  operations.forEach((operation, index) => {
    const path = `operations[${index}].type`;
    if (operation.type === "stream") {
      if (index < operations.length - 1) invalid.push({ path, message: "is stream, which must be the last operation" });
      return;
    }
    const extracts = operation.type === "audio" && operation.extract;
    if (COMPANIONS.includes(operation.type) && !extracts) return;
    unsupported.push({ path, message: `${operation.type} cannot be combined with stream; give it a job of its own` });
  });
  for (const name of FILE_OPTIONS) {
    if (options[name] !== undefined)
      invalid.push({ path: `options.${name}`, message: "is about a single file and means nothing for a package" });
  }
}

function checkTogether(operation: StreamOperation, { invalid, unsupported }: Problems): void {
  const { container, format, encryption, variants = [], audio = [], key_uri: keyUri, thumbnails } = operation;
  const at = (path: string, message: string): void => void invalid.push({ path, message });
  if (container === "ts") {
    if (format !== "hls") at("container", "is ts, which goes with format hls only; use cmaf");
    variants.forEach(({ codec }, index) => {
      if (codec !== undefined && codec !== "h264")
        at(`variants[${index}].codec`, `is ${codec}; ts takes h264, use cmaf`);
    });
    audio.forEach(({ codec }, index) => {
      if (codec === "opus" || codec === "eac3")
        at(`audio[${index}].codec`, `is ${codec}; ts takes aac and ac3, use cmaf`);
    });
  }
  if (encryption === "aes-128") {
    if (container !== "ts" || format !== "hls")
      at("encryption", "is aes-128, which goes with container ts and format hls");
    if (thumbnails)
      at("thumbnails", "cannot be read out of segments that are encrypted as a whole; use encryption none");
  }
  if (encryption === "cbcs") checkCbcs(operation, at);
  if (encryption === "none" && keyUri !== undefined) at("key_uri", "is the place of a key, and encryption is none");
  if (thumbnails && format === "dash")
    unsupported.push({ path: "thumbnails", message: "are playlists of HLS; use format hls or both" });
}

/** What players decrypt in hardware and in clear-key systems alike. */
function checkCbcs(
  { container, variants = [], audio = [] }: StreamOperation,
  at: (path: string, message: string) => void,
) {
  if (container !== "cmaf") at("encryption", "is cbcs, which goes with container cmaf");
  variants.forEach(({ codec = "h264" }, index) => {
    if (codec !== "h264" && codec !== "h265")
      at(`variants[${index}].codec`, `is ${codec}; cbcs goes with h264 and h265`);
  });
  audio.forEach(({ codec }, index) => {
    if (codec === "opus") at(`audio[${index}].codec`, "is opus; cbcs goes with aac, ac3 and eac3");
  });
}

function checkAbilities(operation: StreamOperation, capabilities: Capabilities, unsupported: ErrorDetail[]): void {
  const { packager } = capabilities;
  if (packager?.ok !== true) {
    const reason = packager?.ok === false ? packager.reason : "no worker has Shaka Packager";
    unsupported.push({ path: "type", message: `needs a packager, which does not work here: ${reason}` });
  }
  const require = (path: string, codec: string, names: readonly string[]): void => {
    const { ability } = chooseEncoder(names, capabilities);
    if (!ability.ok)
      unsupported.push({ path, message: `needs an encoder for ${codec}, which does not work here: ${ability.reason}` });
  };
  const variants = operation.variants ?? [{ codec: "h264" as const }];
  variants.forEach(({ codec = "h264" }, index) => {
    require(`variants[${index}].codec`, codec, videoEncoder(codec).encoders);
  });
  const audio = operation.audio ?? [{ codec: "aac" as const }];
  audio.forEach(({ codec = "aac" }, index) => {
    require(`audio[${index}].codec`, codec, [audioEncoder(codec).encoder]);
  });
}

export function checkStreamPlan(check: StreamCheck, operation: StreamOperation): Problems {
  const found: Problems = { invalid: [], unsupported: [] };
  checkOthers(check, found);
  checkTogether(operation, found);
  (operation.variants ?? []).forEach(({ bitrate, codec = "h264", preset }, index) => {
    const at = (field: string, message: string): void =>
      void found.invalid.push({ path: `variants[${index}].${field}`, message });
    if (bitrate !== undefined && bitrate > check.limits.maxBitrate)
      at("bitrate", `must be at most ${check.limits.maxBitrate}`);
    const { presets } = videoEncoder(codec);
    if (preset !== undefined && !presets.includes(preset)) at("preset", noSuchName(preset, "preset", presets, codec));
  });
  if (check.capabilities !== null) checkAbilities(operation, check.capabilities, found.unsupported);
  return found;
}
