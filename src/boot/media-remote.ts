/**
 * Probes and plans over the bus: an API replica needs no FFmpeg, and asks whichever worker is there.
 *
 * A request goes to all workers; the one that gets the request's lock answers, to the channel of the replica that asked.
 * Nothing is kept: whoever asked waits until the deadline, which is theirs, and gets 503 after it. Until then the request is
 * repeated, under its own id: messages can be lost with a connection, and all workers can have been busy. Who answered it
 * already answers once more.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { MediaService } from "../../plugins/context.ts";
import { type Bus, type BusMessage, channels, type Locks } from "../coordination/ports.ts";
import { ERROR_KINDS, type ErrorKind, RendiffError, type RendiffErrorInit, toRendiffError } from "../errors.ts";
import type { Logger } from "../telemetry/logger.ts";

const LOCK_TTL_MS = 120_000;
const REPLY_SECONDS = 5;
const ANSWER_TIMEOUT_MS = 30_000;
/** Beyond it a worker leaves requests to others. */
const AT_ONCE_MAX = 4;
/** Of one process, each of which encodes. */
export const ESTIMATES_AT_ONCE_MAX = 2;
/** Where a worker could only refuse, others may have room: it gives them time to take the request. */
const OTHERS_FIRST_MS = 250;
const REPEAT_MS = 2_000;
/** A broker that is away for a moment is back within it; after it, it is away. */
const AWAY_MS_MAX = 3_000;
const TRY_AGAIN_MS = 200;
/** What a worker that leaves has begun to look at it still answers; an estimate would take too long. */
const LEAVE_MS_MAX = 10_000;

type Method = keyof MediaService;
const METHODS: readonly string[] = ["probe", "plan", "estimate"] satisfies Method[];
/** An estimate encodes parts of the film. */
const ESTIMATE_TIMEOUT_MS = 90_000;
const timeoutOf = (method: unknown): number => (method === "estimate" ? ESTIMATE_TIMEOUT_MS : ANSWER_TIMEOUT_MS);

function nobody(cause: unknown): RendiffError {
  return new RendiffError({
    kind: "service.unavailable",
    publicMessage: "No worker answered in time; files are looked at by workers.",
    retryAfterSeconds: REPLY_SECONDS,
    cause,
  });
}

function toError(message: unknown): RendiffError {
  const { kind, publicMessage, ...rest } = (message ?? {}) as Partial<RendiffErrorInit>;
  const known = ERROR_KINDS.find((candidate): candidate is ErrorKind => candidate === kind);
  if (known === undefined || typeof publicMessage !== "string") return nobody(new Error("An answer made no sense."));
  return new RendiffError({ kind: known, publicMessage, ...rest });
}

/** Does again what the bus or the locks refuse. Rejects as they did last, or at once when nobody wants it any more. */
async function patiently<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  const untilMs = performance.now() + AWAY_MS_MAX;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted || performance.now() > untilMs) throw error;
      await delay(TRY_AGAIN_MS, undefined, { signal }).catch(() => {});
    }
  }
}

export interface RemoteMedia extends MediaService {
  close(): Promise<void>;
}

/** The asking side. `hasWorkers`: whether anybody alive could answer; if not, nobody waits. */
export async function askWorkers(bus: Bus, hasWorkers: () => boolean): Promise<RemoteMedia> {
  const replyTo = channels.mediaReply(Bun.randomUUIDv7());
  const waiting = new Map<string, (message: BusMessage) => void>();
  const unsubscribe = await bus.subscribe(replyTo, (message) => waiting.get(String(message.id))?.(message));

  async function ask<T>(method: Method, argument: unknown, signal: AbortSignal): Promise<T> {
    if (!hasWorkers()) throw nobody(new Error("No worker is alive."));
    const id = Bun.randomUUIDv7();
    const answered = Promise.withResolvers<T>();
    // It may be too late while the request is still being sent, when nobody waits for the answer yet.
    answered.promise.catch(() => {});
    const late = (): void => answered.reject(nobody(signal.reason));
    const timer = setTimeout(late, timeoutOf(method));
    waiting.set(id, (message) => {
      if (message.error === undefined) answered.resolve(message.value as T);
      else answered.reject(toError(message.error));
    });
    signal.addEventListener("abort", late, { once: true });
    const send = (): Promise<void> => bus.publish(channels.media, { id, reply_to: replyTo, method, argument });
    const repeating = setInterval(() => void send().catch(() => {}), REPEAT_MS);
    try {
      await patiently(send, signal).catch((error: unknown) => {
        throw nobody(error);
      });
      return await answered.promise;
    } finally {
      clearInterval(repeating);
      clearTimeout(timer);
      signal.removeEventListener("abort", late);
      waiting.delete(id);
    }
  }
  return {
    probe: (ref, signal) => ask("probe", ref, signal),
    plan: (spec, signal) => ask("plan", spec, signal),
    estimate: (spec, signal) => ask("estimate", spec, signal),
    close: unsubscribe,
  };
}

export interface AnswerParts {
  readonly bus: Bus;
  readonly locks: Locks;
  readonly media: MediaService;
  readonly logger: Logger;
}

/** The answering side, in every process that has an FFmpeg. Resolves with what stops it. */
export async function answerRequests({ bus, locks, media, logger }: AnswerParts): Promise<() => Promise<void>> {
  const self = Bun.randomUUIDv7();
  const [leaving, stopping] = [new AbortController(), new AbortController()];
  const running = new Map<string, Promise<void>>();
  let estimates = 0;

  async function answer(message: BusMessage): Promise<void> {
    const { id, method } = message;
    if (!METHODS.includes(String(method))) return;
    const end = method === "estimate" ? leaving : stopping;
    const signal = AbortSignal.any([end.signal, AbortSignal.timeout(timeoutOf(method))]);
    if (method === "estimate" && estimates >= ESTIMATES_AT_ONCE_MAX) await Bun.sleep(OTHERS_FIRST_MS);
    if (!(await patiently(() => locks.acquire(`media:${id}`, self, LOCK_TTL_MS), signal))) return;
    if (method === "estimate") estimates += 1;
    await reply(message, signal).finally(() => {
      if (method === "estimate") estimates -= 1;
    });
  }
  async function reply({ id, reply_to: replyTo, method, argument }: BusMessage, signal: AbortSignal): Promise<void> {
    const answered = await media[method as Method](argument as never, signal).then(
      (value: unknown) => ({ id, value }),
      (error: unknown) => {
        const { kind, publicMessage, details, hint, evidence, retryAfterSeconds } = toRendiffError(error);
        return { id, error: { kind, publicMessage, details, hint, evidence, retryAfterSeconds } };
      },
    );
    await patiently(() => bus.publish(String(replyTo), answered), signal);
  }
  const unsubscribe = await bus.subscribe(channels.media, (message) => {
    const id = String(message.id);
    if (running.has(id) || running.size >= AT_ONCE_MAX) return;
    const work = answer(message)
      .catch((error: unknown) => logger.warn({ err: error }, "a request for a probe was not answered"))
      .finally(() => running.delete(id));
    running.set(id, work);
  });
  return async () => {
    await unsubscribe();
    const reason = nobody(new Error("The worker is leaving."));
    leaving.abort(reason);
    const late = setTimeout(() => stopping.abort(reason), LEAVE_MS_MAX);
    await Promise.allSettled(running.values());
    clearTimeout(late);
  };
}
