/** A chart whose actors are gates: each stage waits until the test lets it settle. */
import { type Actor, fromPromise, type SnapshotFrom } from "xstate";
import { makeLoneClaim } from "../../src/jobs/lone-claim.ts";
import type { Claim, PublishManifest } from "../../src/jobs/types.ts";
import { silentLogger } from "../../test/support/silent-logger.ts";
import { spawnRoot } from "../spawn-root.ts";
import { attemptMachine } from "./attempt.machine.ts";
import type { AttemptContext } from "./attempt.types.ts";

export const MANIFEST: PublishManifest = { leaseToken: 1, steps: [], results: null, metrics: {}, warnings: [] };

export const ACTORS = [
  ...["reuse", "download", "probe", "plan", "encode", "verify", "upload", "fence", "publish"],
  ...["cancel", "fail", "snooze", "abandon"],
] as const;

interface Gate {
  readonly resolve: (output: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly signal: AbortSignal;
  readonly context: AttemptContext;
}

/** What a stage answers when all goes well. */
export const GOOD: Readonly<Record<string, unknown>> = {
  reuse: { held: true, value: { inputs: [], byBytes: null, reused: null } },
  download: { held: true, value: [] },
  probe: { held: true, value: [] },
  plan: { held: true, value: {} },
  encode: { held: true, value: { wallMs: 1, cpuMs: 1, loudness: [] } },
  verify: { held: true, value: [] },
  upload: { held: true, value: MANIFEST },
  fence: { outcome: "fenced" },
  publish: { outcome: "completed" },
  cancel: { held: true, value: null },
  fail: "failed",
  snooze: { held: true, value: null },
  abandon: undefined,
};

export class Walk {
  readonly gates = new Map<string, Gate>();
  /** Actors in the order in which they started. */
  readonly started: string[] = [];
  readonly actor: Actor<typeof attemptMachine>;

  constructor(claim = makeLoneClaim(), jobTimeoutMs = 60_000) {
    const actors = Object.fromEntries(
      ACTORS.map((name) => [
        name,
        fromPromise<unknown, AttemptContext>(({ input, signal }) => {
          this.started.push(name);
          return new Promise((resolve, reject) => this.gates.set(name, { resolve, reject, signal, context: input }));
        }),
      ]),
    );
    const logic = attemptMachine.provide({
      actors: actors as never,
      delays: { jobTimeout: jobTimeoutMs, keyRetry: 1 },
    });
    this.actor = spawnRoot(logic as typeof attemptMachine, {
      ...{ id: "attempt", input: { claim }, logger: silentLogger() },
    });
  }

  get snapshot(): SnapshotFrom<typeof attemptMachine> {
    return this.actor.getSnapshot();
  }

  /** The state's name, the inner one where there is one. */
  get state(): string {
    const { value } = this.snapshot;
    return typeof value === "string" ? value : (Object.values(value)[0] as string);
  }

  gate(name: string): Gate {
    const gate = this.gates.get(name);
    if (gate === undefined) throw new Error(`${name} has not started; the attempt is ${this.state}.`);
    return gate;
  }

  async answer(name: string, output: unknown = GOOD[name]): Promise<void> {
    this.gate(name).resolve(output);
    await turn();
  }

  async reject(name: string, error: unknown): Promise<void> {
    this.gate(name).reject(error);
    await turn();
  }

  /** Answers well from the start until `state` is reached. */
  static async to(state: string, claim?: Claim): Promise<Walk> {
    const walk = new Walk(claim);
    for (const [name, at] of PATH) {
      if (walk.state === state) return walk;
      if (walk.state === at) await walk.answer(name, at === "fencing" && state === "waitingForKey" ? WAIT : GOOD[name]);
    }
    if (walk.state === state) return walk;
    throw new Error(`${state} was not reached, but ${walk.state}.`);
  }
}

const WAIT = { outcome: "wait" };

/** Lets promises settle and the chart react to them. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export const PATH = [
  ["download", "downloading"],
  ["probe", "probing"],
  ["plan", "planning"],
  ["encode", "encoding"],
  ["verify", "verifying"],
  ["upload", "uploading"],
  ["fence", "fencing"],
  ["publish", "publishing"],
] as const;
