/** The recorder of `rendiff convert`: nothing is stored, nobody else can take the job, and the terminal hears of it all. */
import type { LiveProgress, PublishManifest } from "../../src/jobs/types.ts";
import type { StagedObject } from "../../src/storage/port.ts";
import type { Recorder } from "./recorder.ts";

export type TerminalReport =
  | ({ readonly type: "progress" } & Omit<LiveProgress, "jobId">)
  | { readonly type: "stage"; readonly stage: LiveProgress["stage"] }
  | { readonly type: "completed"; readonly manifest: PublishManifest };

export function makeTerminalRecorder(report: (report: TerminalReport) => void): Recorder {
  // Nobody comes after this process to sweep: what it staged and did not publish it removes itself.
  let own: readonly StagedObject[] = [];
  const stage = (name: LiveProgress["stage"]): void => report({ type: "stage", stage: name });
  return {
    async stage(name) {
      stage(name);
      return true;
    },
    progress: (progress) => report({ type: "progress", ...progress }),
    async staged(objects) {
      const handles = objects.filter((object) => "handle" in object);
      own = [...new Set([...own, ...handles])];
      return true;
    },
    reusable: async () => [],
    async fence() {
      stage("publishing");
      return { outcome: "fenced" };
    },
    async complete(manifest) {
      own = [];
      report({ type: "completed", manifest });
      return true;
    },
    fail: async () => "failed",
    publishOverdue: async () => true,
    failPublishing: async () => "failed",
    ownStaging: async () => own,
    async forgetStaging(object) {
      own = own.filter((other) => other !== object);
    },
    cancelled: async () => true,
    snoozed: async () => true,
  };
}
