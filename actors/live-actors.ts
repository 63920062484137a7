/** Which actors of a system live at this moment and in which state each is: for people who look at a running process. */
import type { AnyActorRef } from "xstate";

export interface LiveActor {
  /** The ids from below the root down: `worker/attempt-…/encode`. */
  readonly id: string;
  /** Of a chart its state with those around it, `working.encoding`; of what only works, `active`. */
  readonly state: string;
}

/** A process has a few for each slot and each webhook under way. */
const ACTORS_MAX = 1_000;

interface Chart {
  readonly value: unknown;
  readonly children: Readonly<Record<string, AnyActorRef | undefined>>;
}

const isChart = (snapshot: object): snapshot is Chart => "value" in snapshot && "children" in snapshot;

function stateOf(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  return Object.entries(value)
    .map(([state, inner]) => {
      const below = stateOf(inner);
      return below === "" ? state : `${state}.${below}`;
    })
    .join("+");
}

/** The actor itself first, then what lives below it; at most a thousand. */
export function liveActors(root: AnyActorRef): readonly LiveActor[] {
  const found: LiveActor[] = [];
  const visit = (id: string, actor: AnyActorRef): void => {
    const snapshot = actor.getSnapshot() as { readonly status: string };
    // One that has ended is only there until its parent has heard of it.
    if (snapshot.status !== "active" || found.length >= ACTORS_MAX) return;
    if (!isChart(snapshot)) {
      found.push({ id, state: "active" });
      return;
    }
    found.push({ id, state: stateOf(snapshot.value) });
    const below = actor === root ? "" : `${id}/`;
    for (const [name, child] of Object.entries(snapshot.children)) {
      if (child !== undefined) visit(`${below}${name}`, child);
    }
  };
  visit("system", root);
  return found;
}
