/**
 * The tests that a machine may be unable to run, each with its reason. Any other skipped test fails the run, and so does
 * one of these where its condition does not hold. On the gate's machine (CI is set) only what is bought as hardware may
 * be missing: everything else is software that `./dev test` installs.
 */
import { existsSync } from "node:fs";

export interface Condition {
  readonly reason: string;
  /** Whether this machine lacks what the tests need. */
  readonly holds: () => boolean;
  /** Accepted on the gate's machine too. */
  readonly onGate: boolean;
}

export const CONDITIONS = {
  "no NVIDIA GPU": {
    reason: "NVENC encodes in an NVIDIA GPU.",
    holds: () => !existsSync("/dev/nvidia0"),
    onGate: true,
  },
  "no render node": {
    reason: "VAAPI and QSV encode in a GPU that Linux shows as a render node.",
    holds: () => !existsSync("/dev/dri/renderD128"),
    onGate: true,
  },
  "no VideoToolbox": {
    reason: "VideoToolbox is part of macOS.",
    holds: () => process.platform !== "darwin",
    onGate: true,
  },
  "not Linux": {
    reason: "Bubblewrap, /proc and rlimits of other processes are Linux's.",
    holds: () => process.platform !== "linux",
    onGate: false,
  },
  "not root": {
    reason: "Mounting a small file system and changing users need root.",
    holds: () => process.getuid?.() !== 0,
    onGate: false,
  },
  "no user namespaces": {
    reason: "Some distributions forbid ordinary users the namespaces that bubblewrap is made of.",
    holds: () =>
      process.platform !== "linux" ||
      Bun.spawnSync(["bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"]).exitCode !== 0,
    onGate: false,
  },
} as const satisfies Record<string, Condition>;

export type ConditionName = keyof typeof CONDITIONS;

export interface ExpectedSkip {
  /** Of the test's file, and of its groups and name joined by ` > `. */
  readonly file: RegExp;
  readonly name: RegExp;
  readonly when: ConditionName;
}

export const EXPECTED_SKIPS: readonly ExpectedSkip[] = [
  // The small disk that fills up is a mount of bubblewrap's.
  { file: /faults\/storage-full-disk/, name: /./, when: "no user namespaces" },
];
