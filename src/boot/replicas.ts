/**
 * What lives in each replica, asked over the bus. Nothing is kept: an actor's state is true only at the moment, so whoever
 * wants to know asks, and who does not answer within a second is not waited for.
 */
import { z } from "zod";
import type { ReplicaView } from "../../plugins/context.ts";
import { type BusMessage, type Coordination, channels } from "../coordination/ports.ts";
import type { Logger } from "../telemetry/logger.ts";

const ANSWER_MS = 1_000;
/** Replicas without workers are on no list: so long they are waited for when all workers have answered. */
const OTHERS_MS = 250;

/** Another version may say it otherwise, and is then left out. */
const viewSchema = z.object({
  id: z.uuid(),
  role: z.string(),
  version: z.string(),
  workerId: z.string().nullable(),
  actors: z.array(z.object({ id: z.string(), state: z.string() })),
});

export interface Replicas {
  ask(workerIds: readonly string[]): Promise<readonly ReplicaView[]>;
  close(): Promise<void>;
}

export interface ReplicasParts {
  readonly coordination: Pick<Coordination, "kind" | "bus">;
  readonly logger: Logger;
  /** This replica, now. */
  describe(): ReplicaView;
}

/** In one process there is nobody else to ask. */
export async function openReplicas({ coordination, logger, describe }: ReplicasParts): Promise<Replicas> {
  if (coordination.kind === "memory") return { ask: async () => [describe()], close: async () => undefined };
  const { bus } = coordination;
  const replyTo = channels.actorsReply(Bun.randomUUIDv7());
  const asking = new Map<string, (view: ReplicaView) => void>();

  function answer({ id, reply_to: to }: BusMessage): void {
    bus
      .publish(String(to), { id, replica: describe() })
      .catch((error: unknown) => logger.debug({ err: error }, "nobody could be told what lives here"));
  }
  function hear({ id, replica }: BusMessage): void {
    const { success, data } = viewSchema.safeParse(replica);
    if (success) asking.get(String(id))?.(data);
  }
  const subscriptions = await Promise.all([bus.subscribe(channels.actors, answer), bus.subscribe(replyTo, hear)]);

  async function ask(workerIds: readonly string[]): Promise<readonly ReplicaView[]> {
    const own = describe();
    const views = new Map([[own.id, own]]);
    const id = Bun.randomUUIDv7();
    const done = Promise.withResolvers<void>();
    const missing = new Set(workerIds.filter((workerId) => workerId !== own.workerId));
    let waitsForOthers = true;
    const check = (): void => {
      if (!waitsForOthers && missing.size === 0) done.resolve();
    };
    asking.set(id, (view) => {
      views.set(view.id, view);
      if (view.workerId !== null) missing.delete(view.workerId);
      check();
    });
    const timers = [
      setTimeout(done.resolve, ANSWER_MS),
      setTimeout(() => {
        waitsForOthers = false;
        check();
      }, OTHERS_MS),
    ];
    // Without a bus this replica is all that can be seen.
    bus.publish(channels.actors, { id, reply_to: replyTo }).catch(() => done.resolve());
    await done.promise;
    for (const timer of timers) clearTimeout(timer);
    asking.delete(id);
    return [...views.values()];
  }
  return {
    ask,
    close: async () => void (await Promise.all(subscriptions.map((unsubscribe) => unsubscribe()))),
  };
}
