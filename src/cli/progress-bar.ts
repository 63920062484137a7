/** Progress on stderr: one line that is redrawn on a terminal, a line per stage elsewhere. */
import type { LiveProgress } from "../jobs/types.ts";
import type { CommandContext } from "./context.ts";

export type BarReport =
  | { readonly type: "stage"; readonly stage: LiveProgress["stage"] }
  | ({ readonly type: "progress" } & Omit<LiveProgress, "jobId">);

export interface ProgressBar {
  show(report: BarReport): void;
  end(): void;
}

const WIDTH = 30;

function draw({ stage, progress, fps, speed, etaSeconds }: Omit<LiveProgress, "jobId">): string {
  const filled = Math.round((progress / 100) * WIDTH);
  const bar = `${"█".repeat(filled)}${"░".repeat(WIDTH - filled)}`;
  const figures = [
    fps === null ? null : `${fps.toFixed(0)} fps`,
    speed === null ? null : `${speed.toFixed(2)}x`,
    etaSeconds === null ? null : `${Math.ceil(etaSeconds)} s left`,
  ].filter((figure) => figure !== null);
  return `${bar} ${progress.toFixed(1).padStart(5)} % ${stage} ${figures.join("  ")}`;
}

export function makeProgressBar({ err, isTerminal }: CommandContext): ProgressBar {
  let drawn = false;
  let lastStage = "";
  return {
    show(report) {
      if (isTerminal && report.type === "progress") {
        process.stderr.write(`\r\x1b[2K${draw(report)}`);
        drawn = true;
        return;
      }
      if (isTerminal || report.stage === lastStage) return;
      lastStage = report.stage;
      err(report.stage);
    },
    end() {
      if (drawn) process.stderr.write("\r\x1b[2K");
    },
  };
}
