/** S7: what a job keeps of its speed while files that ask for far more than they weigh come in beside it. */
import { copyFile, link } from "node:fs/promises";
import { join } from "node:path";
import { BOMBS, placeBombs } from "../test/support/bombs.ts";
import { until } from "../test/support/until.ts";
import type { Bench, BenchContext } from "./lib/bench.ts";
import { completeJob, createJob, getJob, untilFinal } from "./lib/client.ts";
import { freshen, makeClip } from "./lib/clips.ts";
import { programs } from "./lib/programs.ts";
import { interleave } from "./lib/rounds.ts";
import { startSubject } from "./lib/subject.ts";
import type { Claim } from "./lib/verdict.ts";

/** 90 % of its speed. */
const LIMIT = 1.11;
/** On two cores it takes several times what the bombs take, one after another in the slot beside it. */
const FILM_SECONDS = 40;

let made = 0;
const film = () => ({
  ...{ input_path: "in.mp4", output_path: `out/${++made}.mp4` },
  operations: [{ type: "transcode", video_codec: "h264", preset: "medium" }],
});

async function besideBombs({ folder, long, say }: BenchContext): Promise<Claim[]> {
  const clip = await makeClip({ width: 1280, height: 720, seconds: FILM_SECONDS });
  const env = { FFMPEG_PATH: programs.ffmpeg, FFPROBE_PATH: programs.ffprobeStatic, WORKER_CONCURRENCY: "2" };
  await using subject = await startSubject({ folder: join(folder, "subject"), env });
  const at = join(subject.storage, "in.mp4");
  await link(clip, at).catch(() => copyFile(clip, at));
  await placeBombs(subject.storage);
  const alone = async (): Promise<number> => (await completeJob(subject, film())).wallMs;
  const beside = async (): Promise<number> => {
    for (const { name } of BOMBS) await freshen(join(subject.storage, name));
    const startedAt = performance.now();
    const { id } = await createJob(subject, film());
    await until(async () => (await getJob(subject, id)).stage === "encoding", {
      ...{ timeoutMs: 30_000, what: "the film to be encoded" },
    });
    const bombs = await Promise.all(
      BOMBS.map(({ name, output, operations }) =>
        createJob(subject, { input_path: name, output_path: `out/${++made}.${output}`, operations }),
      ),
    );
    const outcome = await untilFinal(subject, id);
    const wallMs = performance.now() - startedAt;
    if (outcome !== "completed") throw new Error(`The film's job ${outcome}.`);
    const late = (await Promise.all(bombs.map((bomb) => getJob(subject, bomb.id)))).filter(
      ({ status }) => status !== "completed" && status !== "failed",
    );
    if (late.length > 0) throw new Error(`${late.length} bombs were not over before the film was.`);
    return wallMs;
  };
  say(`${BOMBS.length} bombs beside a film`);
  const series = await interleave(
    { alone, beside, again: alone },
    { roundsMin: 3, roundsMax: long ? 15 : 5, budgetMs: long ? 900_000 : 150_000 },
  );
  return [
    {
      ...{ kind: "ratio", goal: "S7", what: `a film beside ${BOMBS.length} bombs`, baselineName: "alone" },
      ...{ unit: "ms", baseline: series.alone, baselineAgain: series.again, candidate: series.beside },
      ...{ limit: LIMIT, bound: "most" },
    },
  ];
}

export const bombsBench: Bench = {
  name: "bombs",
  what: "a job beside files that ask for far more than they weigh",
  run: besideBombs,
};
