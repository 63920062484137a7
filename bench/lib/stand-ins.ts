/**
 * Programs in FFmpeg's and ffprobe's place that say when they were started. They work outside of the sandbox only: inside
 * there is nothing they could tell it to.
 */

import { createReadStream, openSync, writeSync } from "node:fs";
import { chmod, rename } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";

export interface Start {
  /** `ffmpeg` or `ffprobe`. */
  readonly program: string;
  readonly args: string;
  /** Milliseconds since the epoch, when we heard of it. */
  readonly atMs: number;
}

export interface Starts extends AsyncDisposable {
  /** The named pipe that stand-ins write a line to. */
  readonly pipe: string;
  readonly all: Start[];
  next(program: string): Promise<Start>;
}

export const epochMs = (): number => performance.timeOrigin + performance.now();

export async function listenForStarts(folder: string): Promise<Starts> {
  const pipe = join(folder, "starts");
  Bun.spawnSync(["mkfifo", "-m", "622", pipe]);
  // Open for both, so that it does not end whenever the last writer does.
  const descriptor = openSync(pipe, "r+");
  const stream = createReadStream(pipe, { fd: descriptor });
  const closed = new Promise<void>((resolve) => stream.once("close", () => resolve()));
  stream.on("error", () => {});
  const all: Start[] = [];
  const waiting = new Map<string, (start: Start) => void>();
  const lines = createInterface({ input: stream });
  lines.on("line", (line) => {
    const atMs = epochMs();
    const [program = "", ...rest] = line.split(" ");
    const start = { program, args: rest.join(" "), atMs };
    all.push(start);
    waiting.get(program)?.(start);
    waiting.delete(program);
  });
  return {
    pipe,
    all,
    next: (program) => new Promise((resolve) => waiting.set(program, resolve)),
    async [Symbol.asyncDispose]() {
      lines.close();
      stream.destroy();
      // Wakes the read that still waits.
      writeSync(descriptor, "\n");
      await closed;
    },
  };
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

async function writeScript(path: string, lines: readonly string[]): Promise<void> {
  const next = `${path}.next`;
  await Bun.write(next, `#!/bin/sh\n${lines.join("\n")}\n`);
  await chmod(next, 0o755);
  await rename(next, path);
}

/** Says that it was started, and is the real program from then on. */
export const writeReporting = (path: string, program: string, real: string, pipe: string): Promise<void> =>
  writeScript(path, [`printf '%s\\n' "${program} $*" > ${quoted(pipe)}`, `exec ${quoted(real)} "$@"`]);

/** Says that it was started, prints `answer`, and ends with 0. */
export const writeNoOp = (path: string, program: string, answer: string, pipe: string): Promise<void> =>
  writeScript(path, [`echo ${program} > ${quoted(pipe)}`, `printf '%s' ${quoted(answer)}`]);
