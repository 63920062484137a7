/** What a client says of a preset, and how it is checked before it is stored. */
import { z } from "zod";
import { RendiffError } from "../errors.ts";
import { compile } from "../media/compile.ts";
import { optionsSchema } from "../media/operations/options.schema.ts";
import { parseOperations } from "../media/operations/parse.ts";
import { referencesOf } from "../media/operations/references.ts";
import { type Preset, printPresetReference } from "../media/presets/apply.ts";
import { SAMPLE_EXTENSIONS, SAMPLE_MEDIA } from "../media/presets/sample.ts";
import type { Principal } from "../security/principal.ts";
import { operationsField } from "./convert.schema.ts";
import { type CheckDeps, checkConvert } from "./submit.ts";

const DESCRIPTION_LENGTH_MAX = 500;

export const presetChangeSchema = z.strictObject({
  description: z.string().max(DESCRIPTION_LENGTH_MAX).default(""),
  operations: operationsField,
  options: optionsSchema.omit({ preset: true, priority: true }).default({}),
});
export type PresetChange = z.output<typeof presetChangeSchema>;

export const newPresetSchema = presetChangeSchema.extend({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/, "must be 1 to 64 lower-case letters, digits and hyphens"),
});

/** As a request that names it would be checked, and planned for a sample. Throws `request.*`, `plan.*` or `auth.forbidden`. */
export function checkPreset(deps: CheckDeps, principal: Principal, name: string, change: PresetChange): void {
  const preset: Preset = { ...change, name, version: 1, operations: change.operations, options: change.options };
  const format = change.options.format;
  const failures: unknown[] = [];
  for (const extension of format === undefined ? SAMPLE_EXTENSIONS : [format]) {
    try {
      tryOn(deps, principal, preset, extension);
      return;
    } catch (error) {
      if (!(error instanceof RendiffError)) throw error;
      failures.push(error);
    }
  }
  // What is wrong in the first is wrong with the preset; the others only might have taken it.
  throw failures[0];
}

function tryOn(deps: CheckDeps, principal: Principal, preset: Preset, extension: string): void {
  const [storage] = deps.storage.names.filter((name) => deps.storage.backend(name).properties.writable);
  const body = {
    ...{ input_path: `${storage}://sample/in.mp4`, output_path: `${storage}://sample/out.${extension}` },
    options: { preset: printPresetReference(preset) },
  };
  // Where a key may read and write is no matter of the preset.
  const anywhere = { ...principal, readBackends: null, writeBackends: null };
  const { spec } = checkConvert(deps, anywhere, body, "https://localhost/", () => preset);
  const capabilities = deps.capabilities();
  if (capabilities === null) return;
  const operations = parseOperations(spec.operations);
  // A plan needs each of its inputs; what others hold is known only when they are named.
  const inputs = [{ file: "in/0", media: SAMPLE_MEDIA }];
  if (referencesOf(operations).length > 0) return;
  compile({
    ...{ operations, options: spec.options, outputName: `out.${extension}`, inputs, capabilities },
    ...{ limits: deps.config.limits, threads: 1 },
  });
}
