/** Puts a plan's own files into the work folder. */
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { PlanFile } from "../media/types.ts";
import { toResourceError } from "../work-folders/errors.ts";
import { readFont } from "./font.ts";

const contentOf = (planned: PlanFile): Promise<ArrayBuffer> | string => ("text" in planned ? planned.text : readFont());

/** Throws `resource.disk` and the like. */
export async function writePlanFiles(files: readonly PlanFile[], workDir: string): Promise<void> {
  try {
    for (const planned of files) {
      const path = join(workDir, planned.file);
      await mkdir(dirname(path), { recursive: true });
      await Bun.write(path, await contentOf(planned));
    }
  } catch (error) {
    throw toResourceError(error);
  }
}
