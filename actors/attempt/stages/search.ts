/** Finds the crf that `options.target` asks for: samples are encoded and measured, each like any other step of the job. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { RendiffError } from "../../../src/errors.ts";
import { type CrfTry, nextCrf } from "../../../src/media/measure/crf-search.ts";
import type { VmafScores } from "../../../src/media/measure/parse.ts";
import { TARGET_PREFIX } from "../../../src/media/measure/policy.ts";
import { withCrf } from "../../../src/media/plan/search.ts";
import type { SearchPlan, SearchSample } from "../../../src/media/types.ts";
import type { AttemptContext } from "../attempt.types.ts";
import type { AttemptPorts } from "../ports.ts";
import { overall } from "../progress.ts";
import type { Recorder } from "../recorder.ts";
import { workDirOf } from "../scope.ts";
import { runStep } from "./run-step.ts";

export interface SearchOutcome {
  readonly best: CrfTry;
  readonly tries: number;
  readonly wallMs: number;
  readonly cpuMs: number | null;
}

/** What is left of the search after each try, as far as anybody knows. */
const REMAINING_PER_TRY = 0.75;

interface Measured {
  readonly vmaf: number;
  readonly bytes: number;
}

function unreachable(message: string): RendiffError {
  return new RendiffError({
    kind: "output.invalid",
    publicMessage: message,
    hint: "Ask for a lower score in options.target, for a slower preset, or allow a larger output.",
  });
}

const shown = (value: number): string => String(Number(value.toFixed(2)));

function requireSize({ target }: SearchPlan, { sizePercent, vmaf, crf }: CrfTry): void {
  const most = target.max_size_percent;
  if (most === undefined || sizePercent === null || sizePercent <= most) return;
  throw unreachable(
    `VMAF ${shown(vmaf)} (crf ${crf}) would take ${shown(sizePercent)} % of the input's picture, more than ${most} %; nothing was published.`,
  );
}

/** Throws `output.invalid` when the score cannot be reached, or not within the size; else as any step does. */
export async function searchCrf(
  ports: AttemptPorts,
  recorder: Recorder,
  context: AttemptContext,
  search: SearchPlan,
  signal: AbortSignal,
): Promise<SearchOutcome> {
  const { target, grid, samples } = search;
  const tries: CrfTry[] = [];
  let wallMs = 0;
  let cpuMs: number | null = 0;

  async function trySample(sample: SearchSample, crf: number, done: number): Promise<Measured> {
    let vmaf: number | null = null;
    for (const [n, step] of sample.steps.entries()) {
      const report = await runStep(
        ports,
        context,
        { step: withCrf(step, crf), contentKey: null },
        signal,
        (progress) => {
          const part = (done + (n + progress.percent / 100) / sample.steps.length) / samples.length;
          const left = REMAINING_PER_TRY ** (tries.length + part);
          recorder.progress({
            stage: "encoding",
            progress: overall("encoding", search.weight * (1 - left) * 100),
            ...{ fps: progress.fps, speed: progress.speed, etaSeconds: null },
          });
        },
      );
      wallMs += report.wallMs;
      cpuMs = cpuMs === null || report.cpuMs === null ? null : cpuMs + report.cpuMs;
      const found = report.findings?.[`${TARGET_PREFIX}vmaf`] as VmafScores | undefined;
      vmaf = found?.vmaf?.score ?? vmaf;
    }
    if (vmaf === null) throw new Error("A sample was encoded and not measured.");
    return { vmaf, bytes: (await stat(join(workDirOf(context.scope), sample.file))).size };
  }

  async function tryCrf(crf: number): Promise<CrfTry> {
    const found: Measured[] = [];
    for (const [n, sample] of samples.entries()) found.push(await trySample(sample, crf, n));
    const seconds = samples.reduce((sum, { durationSeconds }) => sum + durationSeconds, 0);
    const bytes = found.reduce((sum, one) => sum + one.bytes, 0) * (search.outputSeconds / seconds);
    return {
      crf,
      vmaf: found.reduce((sum, one) => sum + one.vmaf, 0) / found.length,
      sizePercent: search.pictureBytes === null ? null : (bytes / search.pictureBytes) * 100,
    };
  }

  for (;;) {
    const next = nextCrf(grid, target.vmaf, tries);
    if (next.kind === "try") {
      tries.push(await tryCrf(next.crf));
      continue;
    }
    if (next.kind === "unreachable")
      throw unreachable(
        `VMAF ${target.vmaf} cannot be reached: crf ${next.best.crf} gives ${shown(next.best.vmaf)}; nothing was published.`,
      );
    requireSize(search, next.best);
    ports.logger.info({ jobId: context.claim.lease.jobId, tries }, "a crf was found");
    return { best: next.best, tries: tries.length, wallMs, cpuMs };
  }
}
