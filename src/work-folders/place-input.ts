/**
 * How an input that is read where it lies gets into the work folder: FFmpeg sees a neutral name, never the user's, and
 * nothing is copied. In a sandbox the file is bound there; without one a symbolic link does.
 */
import { symlinkSync, writeFileSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { toResourceError } from "./errors.ts";

export interface InputPlace {
  /** Absolute, with its `in/`. */
  readonly workDir: string;
  /** 0 for the first input. */
  readonly index: number;
  /** Absolute, symlinks resolved. */
  readonly sourcePath: string;
  readonly sandboxed: boolean;
}

export interface PlacedInput {
  /** Relative to the work folder, as arguments name it: `in/0`. */
  readonly file: string;
  /** To be bound into the sandbox: absolute paths, the target in the work folder. Empty without a sandbox. */
  readonly readOnly: readonly { readonly source: string; readonly target: string }[];
}

/** The name of an input in the work folder, also of one that is downloaded. */
export const inputFile = (index: number): string => `in/${index}`;

/** Placed at once: a name on the machine's own disk is made sooner than a turn is waited for. */
export async function placeInput({ workDir, index, sourcePath, sandboxed }: InputPlace): Promise<PlacedInput> {
  if (!isAbsolute(sourcePath)) throw new Error("An input's path has to be absolute.");
  const file = inputFile(index);
  const target = join(workDir, file);
  try {
    if (!sandboxed) {
      symlinkSync(sourcePath, target);
      return { file, readOnly: [] };
    }
    // Something has to be there for the file to be bound over.
    writeFileSync(target, "", { flag: "wx", mode: 0o400 });
    return { file, readOnly: [{ source: sourcePath, target }] };
  } catch (error) {
    throw toResourceError(error);
  }
}
