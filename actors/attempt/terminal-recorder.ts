/** The recorder of `rendiff convert`: nothing is stored, nobody else can take the job, and the terminal hears of it all. */
import type { LiveProgress, PublishManifest } from "../../src/jobs/types.ts";
import type { ObjectRef, StagedObject } from "../../src/storage/port.ts";
import type { Recorder } from "./recorder.ts";

export type TerminalReport =
  | ({ readonly type: "progress" } & Omit<LiveProgress, "jobId">)
  | { readonly type: "stage"; readonly stage: LiveProgress["stage"] }
  | { readonly type: "completed"; readonly manifest: PublishManifest };

export function makeTerminalRecorder(report: (report: TerminalReport) => void): Recorder {
  // Nobody comes after this process to sweep: what it staged and did not publish it removes itself.
  let own: readonly StagedObject[] = [];
  const stage = (name: LiveProgress["stage"]): void => report({ type: "stage", stage: name });
  const keep = (objects: readonly (ObjectRef | StagedObject)[]): void => {
    own = [...new Set([...own, ...objects.filter((object) => "handle" in object)])];
  };
  return {
    async stage(name, { staging = [] } = {}) {
      stage(name);
      keep(staging);
      return true;
    },
    progress: (progress) => report({ type: "progress", ...progress }),
    async staged(objects) {
      keep(objects);
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
