/** P13: five thumbnails by the one process of the plan, against five processes, each with a thumbnail's own plan. */
import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import type { Bench, BenchContext } from "./lib/bench.ts";
import { dryRun } from "./lib/client.ts";
import { makeClip } from "./lib/clips.ts";
import { programs, type Run, timeRun } from "./lib/programs.ts";
import { interleave } from "./lib/rounds.ts";
import { median } from "./lib/stats.ts";
import { startSubject } from "./lib/subject.ts";
import type { Claim } from "./lib/verdict.ts";

const COUNT = 5;
const SECONDS = 60;
const HEAD = ["-nostdin", "-hide_banner", "-nostats", "-v", "error", "-y"];

const thumbnail = (parameters: object) => ({
  input_path: "in.mp4",
  output_path: "out.jpg",
  operations: [{ type: "thumbnail", width: 320, ...parameters }],
});

async function thumbnails({ folder, long }: BenchContext): Promise<Claim[]> {
  const clip = await makeClip({ width: 1280, height: 720, seconds: SECONDS });
  const plans: (readonly string[])[] = [];
  let together: readonly string[] = [];
  {
    const env = { FFMPEG_PATH: programs.ffmpeg, FFPROBE_PATH: programs.ffprobe };
    await using subject = await startSubject({ folder, env });
    await Bun.write(join(subject.storage, "in.mp4"), Bun.file(clip));
    together = await dryRun(subject, thumbnail({ mode: "multiple", count: COUNT }));
    for (let index = 0; index < COUNT; index++) {
      const time = (SECONDS * (index + 0.5)) / COUNT;
      plans.push(await dryRun(subject, thumbnail({ mode: "single", time })));
    }
  }
  const cwd = join(folder, "bare");
  await mkdir(join(cwd, "in"), { recursive: true });
  await mkdir(join(cwd, "out"));
  await symlink(clip, join(cwd, "in", "0"));
  const run = (argv: readonly string[]): Promise<Run> => timeRun([programs.ffmpeg, ...HEAD, ...argv], cwd);
  const apart = async (): Promise<Run> => {
    const runs: Run[] = [];
    for (const plan of plans) runs.push(await run(plan));
    const sum = (of: (one: Run) => number): number => runs.reduce((total, one) => total + of(one), 0);
    return { wallMs: sum((one) => one.wallMs), cpuSeconds: sum((one) => one.cpuSeconds) };
  };
  await run(together);
  const written = [...new Bun.Glob("*").scanSync(join(cwd, "out"))].length;
  if (written !== COUNT) throw new Error(`The plan wrote ${written} files, not ${COUNT}.`);
  const series = await interleave(
    { apart, together: () => run(together), apartAgain: apart },
    { roundsMin: 5, roundsMax: long ? 50 : 12, budgetMs: long ? 120_000 : 30_000 },
  );
  const wall = (runs: readonly Run[]): number[] => runs.map(({ wallMs }) => wallMs);
  const cpu = (runs: readonly Run[]): number => median(runs.map(({ cpuSeconds }) => cpuSeconds));
  return [
    {
      kind: "ratio",
      goal: "P13",
      what: `${COUNT} thumbnails of a minute of 720p in one process`,
      baselineName: `${COUNT} processes`,
      unit: "ms",
      baseline: wall(series.apart),
      baselineAgain: wall(series.apartAgain),
      candidate: wall(series.together),
      limit: 0.55,
      bound: "most",
      cpu: { baseline: cpu([...series.apart, ...series.apartAgain]), candidate: cpu(series.together) },
    },
  ];
}

export const thumbnailsBench: Bench = {
  name: "thumbnails",
  what: "five thumbnails in one process against five processes",
  run: thumbnails,
};
