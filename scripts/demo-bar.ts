/** One line that is drawn again and again on a terminal; elsewhere a line now and then. */
import type { Progress } from "./demo-client.ts";

const WIDTH = 30;
const STEP_PERCENT = 25;

const seconds = (value: number): string => (value < 60 ? `${Math.ceil(value)} s` : `${Math.ceil(value / 60)} min`);

export function formatProgress({ stage, progress, fps, speed, eta_seconds: eta }: Progress): string {
  const filled = Math.round((progress / 100) * WIDTH);
  const bar = "█".repeat(filled) + "░".repeat(WIDTH - filled);
  const details = [
    fps === null ? null : `${fps.toFixed(0)} fps`,
    speed === null ? null : `${speed.toFixed(1)}x`,
    eta === null ? null : `${seconds(eta)} left`,
  ].filter((part) => part !== null);
  return `${stage.padEnd(11)} ${bar} ${progress.toFixed(0).padStart(3)} %  ${details.join(", ")}`.trimEnd();
}

export interface Bar {
  show(progress: Progress): void;
  end(): void;
}

export function makeBar(terminal: boolean, write: (text: string) => void): Bar {
  let drawn = false;
  let last = { stage: "", step: -1 };
  return {
    show(progress) {
      if (terminal) {
        write(`\r\x1b[2K  ${formatProgress(progress)}`);
        drawn = true;
        return;
      }
      const step = Math.floor(progress.progress / STEP_PERCENT);
      if (progress.stage === last.stage && step === last.step) return;
      last = { stage: progress.stage, step };
      write(`  ${formatProgress(progress)}\n`);
    },
    end() {
      if (drawn) write("\n");
      drawn = false;
    },
  };
}
