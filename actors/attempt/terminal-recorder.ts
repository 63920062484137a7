/** The recorder of `rendiff convert`: nothing is stored, nobody else can take the job, and the terminal hears of it all. */
import type { LiveProgress, PublishManifest } from "../../src/jobs/types.ts";
import type { Recorder } from "./recorder.ts";

export type TerminalReport =
  | ({ readonly type: "progress" } & Omit<LiveProgress, "jobId">)
  | { readonly type: "stage"; readonly stage: LiveProgress["stage"] }
  | { readonly type: "completed"; readonly manifest: PublishManifest };

export function makeTerminalRecorder(report: (report: TerminalReport) => void): Recorder {
  const stage = (name: LiveProgress["stage"]): void => report({ type: "stage", stage: name });
  return {
    async stage(name) {
      stage(name);
      return true;
    },
    progress: (progress) => report({ type: "progress", ...progress }),
    staged: async () => true,
    async fence() {
      stage("publishing");
      return { outcome: "fenced" };
    },
    async complete(manifest) {
      report({ type: "completed", manifest });
      return true;
    },
    fail: async () => "failed",
    publishOverdue: async () => true,
    failPublishing: async () => "failed",
    ownStaging: async () => [],
    forgetStaging: async () => {},
    cancelled: async () => true,
    snoozed: async () => true,
  };
}
