/** Why a block is not run by the test of its document: `no-run reason=NAME` may name one of these and nothing else. */
export const NO_RUN_REASONS: Readonly<Record<string, string>> = {
  gate: "`.ci/run` runs this very command, and takes minutes for it.",
  containers: "`./dev image` and `./dev compose` start what it starts; test/deploy/ holds its words against the files.",
  cluster: "test/deploy/ builds these folders and holds them against the schemas of three versions of Kubernetes.",
  system: "It changes the machine itself: packages, users, units, mounts.",
};

/** What else a block's words may say. */
export const WORDS: Readonly<Record<string, string>> = {
  "no-run": "is not run; `reason` says why",
  reason: "of no-run",
  serve: "starts a server that stays: the port it answers at, 8000 where it says none",
  stop: "the reader ends the servers first",
  file: "the text goes into this file instead of being run",
  answer: "has the shape of what the block before it printed",
  output: "is what the block before it printed, with … for whatever differs",
  fails: "ends with this code instead of 0",
};
