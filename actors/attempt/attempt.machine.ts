/**
 * One attempt: one claim, under one lease, in one process. The chart is pure; `attempt.logic.ts` gives it its hands.
 *
 *   claimed ─┬─▶ working: [reusing ▶] downloading ▶ probing ▶ planning ▶ encoding ▶ verifying ▶ uploading ▶ fencing ⇄ waitingForKey
 *            └──────────────────────────────── (row has a manifest) ─────────────────────────────────┐      │
 *   working ── cancel.requested ▶ cancelling ▶ cancelled                                              ▼      ▼
 *   working ── error, deadline  ▶ failing    ▶ failed | retrying                                     publishing ▶ completed
 *   working ── drain.expired    ▶ snoozing   ▶ snoozed
 *   anywhere ─ lease.lost       ▶ abandoning ▶ abandoned
 *
 * Rules that a test holds for every state: `lease.lost` always ends in `abandoned`; before `fencing`,
 * `cancel.requested` always ends in `cancelled`. Once the fence is sent only its answer decides, because the row may
 * carry the manifest already; from `publishing` on the job only rolls forward.
 *
 * It is never restored from a snapshot: XState drops `after` timers and runs promise actors again on restore. After a
 * crash a new attempt starts from the row.
 */
import { assign, fromPromise, setup } from "xstate";
import { RendiffError, toRendiffError } from "../../src/errors.ts";
import type { Claim, PublishManifest } from "../../src/jobs/types.ts";
import type { MediaInfo, Plan } from "../../src/media/types.ts";
import { TIMER_MS_MAX } from "../timer.ts";
import type {
  AttemptContext,
  AttemptEvent,
  AttemptOutput,
  EncodeReport,
  FenceOutcome,
  Held,
  PreparedInput,
  PublishOutcome,
  ReuseReport,
  VerifiedOutput,
} from "./attempt.types.ts";
import { makeScope } from "./scope.ts";
import { asksForReuse } from "./spec.ts";

const missing = (name: string) => (): never => {
  throw new Error(`The attempt's ${name} actor was not provided.`);
};

/** Every stage gets the whole context as it stands; what it needs is there by then. */
const stage = <T>(name: string) => fromPromise<Held<T>, AttemptContext>(missing(name));

type StageDone<T> = { readonly output: Held<T> };
const isLost = ({ event }: { event: unknown }): boolean => !(event as StageDone<unknown>).output.held;
const heldValue = <T>(event: { output: Held<T> }): T => {
  if (!event.output.held) throw new Error("A lost lease has no value.");
  return event.output.value;
};

export const attemptMachine = setup({
  types: {} as {
    context: AttemptContext;
    events: AttemptEvent;
    input: { claim: Claim };
    output: AttemptOutput;
  },
  actors: {
    reuse: stage<ReuseReport>("reuse"),
    download: stage<readonly PreparedInput[]>("download"),
    probe: stage<readonly MediaInfo[]>("probe"),
    plan: stage<Plan>("plan"),
    encode: stage<EncodeReport>("encode"),
    verify: stage<readonly VerifiedOutput[]>("verify"),
    upload: stage<PublishManifest>("upload"),
    fence: fromPromise<FenceOutcome, AttemptContext>(missing("fence")),
    publish: fromPromise<PublishOutcome, AttemptContext>(missing("publish")),
    cancel: stage<null>("cancel"),
    fail: fromPromise<"failed" | "retrying" | "cancelled" | "lost", AttemptContext>(missing("fail")),
    snooze: stage<null>("snooze"),
    abandon: fromPromise<void, AttemptContext>(missing("abandon")),
  },
  delays: { jobTimeout: TIMER_MS_MAX, keyRetry: 500 },
  guards: {
    hasManifest: ({ context }) => context.claim.job.manifest !== null,
    asksForReuse: ({ context }) => asksForReuse(context.claim.job),
    isLost,
    isHeld: ({ context }) => !context.scope.ended,
  },
  actions: {
    recordError: assign({ error: ({ event }) => toRendiffError((event as unknown as { error: unknown }).error) }),
  },
}).createMachine({
  id: "attempt",
  context: ({ input }) => ({
    claim: input.claim,
    reuse: null,
    inputs: [],
    media: [],
    plan: null,
    encode: null,
    verified: [],
    manifest: input.claim.job.manifest,
    error: null,
    outcome: null,
    drainExpired: false,
    scope: makeScope(),
  }),
  initial: "claimed",
  on: { "lease.lost": { guard: "isHeld", target: ".abandoning" } },
  states: {
    claimed: {
      always: [
        { guard: "hasManifest", target: "publishing" },
        { guard: "asksForReuse", target: "working.reusing" },
        { target: "working" },
      ],
    },
    working: {
      initial: "downloading",
      on: {
        "cancel.requested": "cancelling",
        "drain.expired": "snoozing",
      },
      after: { jobTimeout: { target: "failing", actions: assign({ error: () => jobTimeoutError() }) } },
      states: {
        // What can be taken over from an earlier job needs none of the stages before uploading.
        reusing: {
          invoke: {
            id: "reuse",
            src: "reuse",
            input: ({ context }) => context,
            onDone: [
              { guard: "isLost", target: "#attempt.abandoning" },
              {
                guard: ({ event }) => heldValue(event).reused !== null,
                target: "uploading",
                actions: assign({
                  reuse: ({ event }) => heldValue(event),
                  verified: ({ event }) => heldValue(event).reused?.outputs ?? [],
                }),
              },
              { target: "downloading", actions: assign({ reuse: ({ event }) => heldValue(event) }) },
            ],
            onError: { target: "#attempt.failing", actions: "recordError" },
          },
        },
        downloading: {
          invoke: {
            id: "download",
            src: "download",
            input: ({ context }) => context,
            onDone: [
              { guard: "isLost", target: "#attempt.abandoning" },
              { target: "probing", actions: assign({ inputs: ({ event }) => heldValue(event) }) },
            ],
            onError: { target: "#attempt.failing", actions: "recordError" },
          },
        },
        probing: {
          invoke: {
            id: "probe",
            src: "probe",
            input: ({ context }) => context,
            onDone: [
              { guard: "isLost", target: "#attempt.abandoning" },
              { target: "planning", actions: assign({ media: ({ event }) => heldValue(event) }) },
            ],
            onError: { target: "#attempt.failing", actions: "recordError" },
          },
        },
        planning: {
          invoke: {
            id: "plan",
            src: "plan",
            input: ({ context }) => context,
            onDone: [
              { guard: "isLost", target: "#attempt.abandoning" },
              { target: "encoding", actions: assign({ plan: ({ event }) => heldValue(event) }) },
            ],
            onError: { target: "#attempt.failing", actions: "recordError" },
          },
        },
        encoding: {
          invoke: {
            id: "encode",
            src: "encode",
            input: ({ context }) => context,
            onDone: [
              { guard: "isLost", target: "#attempt.abandoning" },
              { target: "verifying", actions: assign({ encode: ({ event }) => heldValue(event) }) },
            ],
            onError: { target: "#attempt.failing", actions: "recordError" },
          },
        },
        verifying: {
          invoke: {
            id: "verify",
            src: "verify",
            input: ({ context }) => context,
            onDone: [
              { guard: "isLost", target: "#attempt.abandoning" },
              { target: "uploading", actions: assign({ verified: ({ event }) => heldValue(event) }) },
            ],
            onError: { target: "#attempt.failing", actions: "recordError" },
          },
        },
        uploading: {
          invoke: {
            id: "upload",
            src: "upload",
            input: ({ context }) => context,
            onDone: [
              { guard: "isLost", target: "#attempt.abandoning" },
              { target: "#attempt.fencing", actions: assign({ manifest: ({ event }) => heldValue(event) }) },
            ],
            onError: { target: "#attempt.failing", actions: "recordError" },
          },
        },
      },
    },
    fencing: {
      // The fence is on its way: only its answer says whether the job can still be put back.
      on: { "drain.expired": { actions: assign({ drainExpired: true }) } },
      invoke: {
        id: "fence",
        src: "fence",
        input: ({ context }) => context,
        onDone: [
          { guard: ({ event }) => event.output.outcome === "fenced", target: "publishing" },
          { guard: ({ event }) => event.output.outcome === "cancel_requested", target: "cancelling" },
          { guard: ({ event }) => event.output.outcome === "wait", target: "waitingForKey" },
          { target: "abandoning" },
        ],
        // Whether the manifest is in the row or not, `fail` asks the row: with it the job is only put back, without it
        // the failure counts, so that a fence that can never pass does not run the job for ever.
        onError: { target: "failing", actions: "recordError" },
      },
    },
    waitingForKey: {
      always: { guard: ({ context }) => context.drainExpired, target: "snoozing" },
      on: { "cancel.requested": "cancelling", "drain.expired": "snoozing" },
      after: { keyRetry: "fencing" },
    },
    publishing: {
      invoke: {
        id: "publish",
        src: "publish",
        input: ({ context }) => context,
        onDone: [
          { guard: ({ event }) => event.output.outcome === "completed", target: "completed" },
          {
            guard: ({ event }) => event.output.outcome === "failed",
            target: "failed",
            actions: assign({ error: ({ event }) => (event.output.outcome === "failed" ? event.output.error : null) }),
          },
          { target: "abandoning" },
        ],
        // With a manifest in the row this only puts the job back, to be rolled forward after a while.
        onError: { target: "failing", actions: "recordError" },
      },
    },
    cancelling: {
      invoke: {
        id: "cancel",
        src: "cancel",
        input: ({ context }) => context,
        onDone: [{ guard: "isLost", target: "abandoning" }, { target: "cancelled" }],
        onError: { target: "abandoning", actions: "recordError" },
      },
    },
    failing: {
      invoke: {
        id: "fail",
        src: "fail",
        input: ({ context }) => context,
        onDone: [
          { guard: ({ event }) => event.output === "failed", target: "failed" },
          { guard: ({ event }) => event.output === "retrying", target: "retrying" },
          { guard: ({ event }) => event.output === "cancelled", target: "cancelled" },
          { target: "abandoning" },
        ],
        onError: { target: "abandoning" },
      },
    },
    snoozing: {
      invoke: {
        id: "snooze",
        src: "snooze",
        input: ({ context }) => context,
        onDone: [{ guard: "isLost", target: "abandoning" }, { target: "snoozed" }],
        onError: { target: "abandoning", actions: "recordError" },
      },
    },
    abandoning: {
      // Once is enough: another `lease.lost` must not start the clean-up again.
      on: { "lease.lost": {} },
      invoke: {
        id: "abandon",
        src: "abandon",
        input: ({ context }) => context,
        onDone: "abandoned",
        onError: "abandoned",
      },
    },
    completed: { type: "final", entry: assign({ outcome: "completed" }) },
    failed: { type: "final", entry: assign({ outcome: "failed" }) },
    retrying: { type: "final", entry: assign({ outcome: "retrying" }) },
    cancelled: { type: "final", entry: assign({ outcome: "cancelled" }) },
    snoozed: { type: "final", entry: assign({ outcome: "snoozed" }) },
    abandoned: { type: "final", entry: assign({ outcome: "abandoned" }) },
  },
  output: ({ context }) => ({
    jobId: context.claim.lease.jobId,
    outcome: context.outcome ?? "abandoned",
    error: context.error,
  }),
});

function jobTimeoutError(): RendiffError {
  return new RendiffError({
    kind: "job.timeout",
    publicMessage: "The job ran longer than this deployment allows (JOB_TIMEOUT).",
    hint: "Split the input, choose a faster preset, or ask the operator for a longer limit.",
  });
}
