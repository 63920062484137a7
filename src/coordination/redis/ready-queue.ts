/**
 * The ready queue as one sorted set per class: the score is the rank, and equal scores sort by the member, the job's id,
 * so that the order is the one of the rows.
 *
 * Takers do not block in Redis: a blocking pop whose answer is lost, or comes after the taker was told to stop, has
 * removed a hint that nobody holds. They take what is there (ZMPOP) and are woken by a message when something is added,
 * all of one process by one of them, so that a hint costs one pop per process and not one per slot.
 */
import { RendiffError } from "../../errors.ts";
import { type Bus, channels, type PriorityClass, type ReadyHint, type ReadyQueue } from "../ports.ts";
import { answersOf, type Link } from "./link.ts";

const CLASSES: readonly PriorityClass[] = ["high", "normal", "low"];
const BATCH = 200;
/** A message may be lost: so often a taker looks by itself. */
const LOOK_EVERY_MS = 1_000;

const stopping = (): RendiffError =>
  new RendiffError({ kind: "service.unavailable", publicMessage: "The service is stopping." });

type KeyOf = (priority: PriorityClass) => string;

/** What waits for additions: woken together, and each now and then by itself. */
class Waits {
  readonly #waiting = new Set<() => void>();
  closed = false;

  readonly wakeAll = (): void => {
    for (const wake of [...this.#waiting]) wake();
  };

  added(signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.closed) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      const timer = setTimeout(wake, LOOK_EVERY_MS);
      signal.addEventListener("abort", wake);
      this.#waiting.add(wake);
    });
  }
}

function addBatch(link: Link, keyOf: KeyOf, hints: readonly ReadyHint[]): Promise<unknown> {
  return link.run((client) => {
    const transaction = client.multi();
    for (const { jobId, priority, rank } of hints) {
      for (const other of CLASSES) if (other !== priority) transaction.zrem(keyOf(other), jobId);
      transaction.zadd(keyOf(priority), rank, jobId);
    }
    return answersOf(transaction.exec());
  });
}

async function pop(link: Link, keyOf: KeyOf, classes: readonly PriorityClass[]): Promise<ReadyHint | null> {
  const keys = classes.map(keyOf);
  const found = await link.run((client) => client.zmpop(keys.length, keys, "MIN"));
  const [key, [[jobId, score] = []] = []] = (found ?? []) as [string?, [string, string][]?];
  const priority = classes.find((name) => keyOf(name) === key);
  return jobId === undefined || priority === undefined ? null : { jobId, priority, rank: Number(score) };
}

export function makeRedisReadyQueue(link: Link, bus: Bus, prefix: string): ReadyQueue {
  const keyOf: KeyOf = (priority) => `${prefix}ready:${priority}`;
  const waits = new Waits();
  const subscribed = bus.subscribe(channels.ready, waits.wakeAll);
  return {
    async add(hints) {
      if (waits.closed) throw stopping();
      for (let at = 0; at < hints.length; at += BATCH) await addBatch(link, keyOf, hints.slice(at, at + BATCH));
      if (hints.length > 0) await bus.publish(channels.ready, { count: hints.length });
    },
    async take(classes, signal) {
      await subscribed;
      while (!signal.aborted && !waits.closed) {
        // Waits from before the look on, so that what is added during it is not missed.
        const look = new AbortController();
        const next = waits.added(AbortSignal.any([signal, look.signal]));
        try {
          const hint = await pop(link, keyOf, classes);
          if (hint !== null) return hint;
          await next;
        } finally {
          look.abort();
        }
      }
      return null;
    },
    added: (signal) => waits.added(signal),
    async remove(jobId) {
      await link.run((client) => {
        const transaction = client.multi();
        for (const priority of CLASSES) transaction.zrem(keyOf(priority), jobId);
        return answersOf(transaction.exec());
      });
    },
    async depths() {
      const counts = await link.run((client) => {
        const transaction = client.multi();
        for (const priority of CLASSES) transaction.zcard(keyOf(priority));
        return answersOf(transaction.exec());
      });
      const [high = 0, normal = 0, low = 0] = counts.map(Number);
      return { high, normal, low };
    },
    async close() {
      waits.closed = true;
      waits.wakeAll();
      await (await subscribed)();
    },
  };
}
