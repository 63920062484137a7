/**
 * The only place that creates a root actor. Without an error observer one failing actor would end the process, so every
 * root gets one before it starts.
 */
import { type Actor, type AnyActorLogic, createActor, type InputFrom, type InspectionEvent } from "xstate";
import type { Logger } from "../src/telemetry/logger.ts";

export interface RootOptions<Logic extends AnyActorLogic> {
  readonly id: string;
  readonly input: InputFrom<Logic>;
  readonly logger: Logger;
  /** Called once, when the actor has failed for good. */
  onError?(error: unknown): void;
}

export function spawnRoot<Logic extends AnyActorLogic>(logic: Logic, options: RootOptions<Logic>): Actor<Logic> {
  const { id, input, logger, onError } = options;
  const inspect = (event: InspectionEvent): void => {
    if (event.type !== "@xstate.snapshot") return;
    const { snapshot, actorRef } = event;
    if (snapshot.status === "error")
      logger.debug({ err: snapshot.error, actor: actorRef.sessionId }, "an actor failed");
  };
  // biome-ignore lint/suspicious/noExplicitAny: XState's options are conditional on the logic's input type.
  const actor = createActor(logic, { id, input, inspect } as any) as Actor<Logic>;
  actor.subscribe({
    error(error) {
      logger.error({ err: error, actor: id }, "a root actor failed");
      onError?.(error);
    },
  });
  actor.start();
  return actor;
}
