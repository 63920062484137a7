/** Gives the attempt's chart its hands. A missing port is a type error. */
import { fromPromise } from "xstate";
import { toRendiffError } from "../../src/errors.ts";
import type { Stage } from "../../src/jobs/types.ts";
import { nowMs } from "../../src/telemetry/tracer.ts";
import { timerMs } from "../timer.ts";
import { attemptMachine } from "./attempt.machine.ts";
import type { AttemptContext } from "./attempt.types.ts";
import { withPatience } from "./patience.ts";
import type { AttemptPorts } from "./ports.ts";
import { overall } from "./progress.ts";
import type { Recorder } from "./recorder.ts";
import { track } from "./scope.ts";
import { download } from "./stages/download.ts";
import { encode } from "./stages/encode.ts";
import { abandon, cancel, fail, snooze } from "./stages/end.ts";
import { plan } from "./stages/plan.ts";
import { probe } from "./stages/probe.ts";
import { publish } from "./stages/publish.ts";
import { reuse } from "./stages/reuse.ts";
import { upload } from "./stages/upload.ts";
import { verify } from "./stages/verify.ts";

type Work<T> = (recorder: Recorder, context: AttemptContext, signal: AbortSignal) => Promise<T>;

export function makeAttemptLogic(ports: AttemptPorts) {
  /**
   * A stage as an actor. Leaving its state aborts the signal, which kills its processes; the scope remembers the work
   * until it has settled, so that clean-up waits for them to be really gone.
   */
  const working = <T>(name: string, work: Work<T>) =>
    fromPromise<T, AttemptContext>(({ input, signal }) => {
      const stage = work(withPatience(ports.recorder(input.claim), signal), input, signal);
      return track(input.scope, traced(name, input, stage));
    });
  const traced = async <T>(stage: string, { claim }: AttemptContext, work: Promise<T>): Promise<T> => {
    const startedAtMs = nowMs();
    let error: string | null = null;
    try {
      return await work;
    } catch (thrown) {
      error = toRendiffError(thrown).kind;
      throw thrown;
    } finally {
      ports.tracer.stageEnded({ claim, stage, startedAtMs, error });
    }
  };
  /** An end waits for the stages itself, so it is not among what it waits for. */
  const ending = <T>(work: Work<T>) =>
    fromPromise<T, AttemptContext>(({ input, signal }) =>
      work(withPatience(ports.recorder(input.claim), signal), input, signal),
    );
  /** A stage whose beginning is live only: a durable event for each would cost every job a statement. */
  const announced = <T>(stage: Stage, work: Work<T>) =>
    working<T>(stage, (recorder, context, signal) => {
      const done = work(recorder, context, signal);
      recorder.progress({ stage, progress: overall(stage, 0), fps: null, speed: null, etaSeconds: null });
      return done;
    });
  return attemptMachine.provide({
    actors: {
      reuse: working("reusing", (recorder, context, signal) => reuse(ports, recorder, context, signal)),
      download: working("downloading", (_recorder, context, signal) => download(ports, context, signal)),
      probe: announced("probing", (_recorder, context, signal) => probe(ports, context, signal)),
      plan: announced("planning", (_recorder, context, signal) => plan(ports, context, signal)),
      encode: working("encoding", (recorder, context, signal) => encode(ports, recorder, context, signal)),
      verify: announced("verifying", (recorder, context, signal) => verify(ports, recorder, context, signal)),
      upload: working("uploading", (recorder, context, signal) => upload(ports, recorder, context, signal)),
      fence: working("fencing", (recorder, { manifest }) => {
        if (manifest === null) throw new Error("The fence needs a manifest.");
        return recorder.fence(manifest);
      }),
      publish: working("publishing", (recorder, context, signal) => publish(ports, recorder, context, signal)),
      cancel: ending((recorder, context) => cancel(ports, recorder, context)),
      fail: ending((recorder, context) => fail(ports, recorder, context)),
      snooze: ending((recorder, context) => snooze(ports, recorder, context)),
      abandon: fromPromise<void, AttemptContext>(({ input }) => abandon(ports, input)),
    },
    delays: { jobTimeout: timerMs(ports.limits.jobTimeoutMs) },
  });
}

export type AttemptLogic = ReturnType<typeof makeAttemptLogic>;
