/** Puts a plan's own files into the work folder. */
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { printCaptions } from "../media/captions/print.ts";
import type { PlanFile } from "../media/types.ts";
import { toResourceError } from "../work-folders/errors.ts";
import { readCaptions } from "./captions.ts";
import { readFont } from "./font.ts";

export interface FilePlaces {
  /** Absolute. */
  readonly workDir: string;
  /** Inputs that lie outside the work folder. */
  readonly readOnly: readonly { readonly source: string; readonly target: string }[];
}

async function contentOf(planned: PlanFile, { workDir, readOnly }: FilePlaces): Promise<ArrayBuffer | string> {
  if ("text" in planned) return planned.text;
  if ("asset" in planned) return readFont();
  const path = join(workDir, planned.captions.from);
  const bound = readOnly.find(({ target }) => target === path);
  return printCaptions(await readCaptions(bound?.source ?? path), planned.captions.task);
}

/** Throws `resource.disk` and the like, and what a caption file that changed meanwhile is refused with. */
export async function writePlanFiles(files: readonly PlanFile[], places: FilePlaces): Promise<void> {
  for (const planned of files) {
    const content = await contentOf(planned, places);
    const path = join(places.workDir, planned.file);
    try {
      await mkdir(dirname(path), { recursive: true });
      await Bun.write(path, content);
    } catch (error) {
      throw toResourceError(error);
    }
  }
}
