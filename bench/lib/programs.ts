/** Programs that the benches start, apart from the product; found by ./dev (scripts/services.ts). */
import { resolve } from "node:path";
import { testEnv } from "../../test/support/env.ts";

export const programs = {
  get ffmpeg() {
    return testEnv().ffmpeg;
  },
  get ffprobe() {
    return testEnv().ffprobe;
  },
  get ffmpegStatic() {
    return testEnv().ffmpeg9;
  },
  get ffprobeStatic() {
    return testEnv().ffprobeStatic;
  },
  /** The product; see build.ts. */
  rendiff: resolve("dist/rendiff"),
};

export interface Run {
  readonly wallMs: number;
  readonly cpuSeconds: number;
}

/** Runs a program to its end. Throws with what it said when it fails. */
export async function timeRun(argv: readonly string[], cwd: string): Promise<Run> {
  const startedAt = performance.now();
  const child = Bun.spawn([...argv], { cwd, stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  const said = new Response(child.stderr).text();
  const exitCode = await child.exited;
  const wallMs = performance.now() - startedAt;
  if (exitCode !== 0) throw new Error(`${argv[0]} ended with ${exitCode}:\n${(await said).slice(-2_000)}`);
  return { wallMs, cpuSeconds: Number(child.resourceUsage()?.cpuTime.total ?? 0) / 1e6 };
}

export async function sha256OfFile(path: string): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256");
  for await (const bytes of Bun.file(path).stream()) hash.update(bytes);
  return hash.digest("hex");
}
