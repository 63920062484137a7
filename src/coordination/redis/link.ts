/**
 * The commands' way to Redis, with a circuit breaker.
 *
 * A Redis that is down refuses at once, but one that is frozen would cost each caller its whole deadline: after one late
 * answer everybody is refused at once, and one caller each `PROBE_AFTER_MS` tries whether it is back. A connection that
 * stays silent for `SILENT_TRIES_MAX` tries in a row is dropped and made anew, since its other end may be gone.
 */
import { RendiffError } from "../../errors.ts";
import { close, drop, type RedisClient } from "./connect.ts";

const PROBE_AFTER_MS = 500;
const SILENT_TRIES_MAX = 3;

export interface Link {
  /** Rejects with `service.unavailable` when Redis did not answer, or refused the command; the cause says which. */
  run<T>(work: (client: RedisClient) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

function unavailable(cause: unknown): RendiffError {
  return new RendiffError({
    kind: "service.unavailable",
    retry: "backoff",
    publicMessage: "Redis does not answer.",
    retryAfterSeconds: 1,
    cause,
  });
}

const isLate = (error: unknown): boolean => error instanceof Error && /timed? ?out/i.test(error.message);

export function makeLink(client: RedisClient): Link {
  /** Null: closed, everybody may pass. Else nobody may before then, and one after it. */
  let openUntilMs: number | null = null;
  let silentTries = 0;
  const noteLate = (): void => {
    openUntilMs = performance.now() + PROBE_AFTER_MS;
    silentTries += 1;
    if (silentTries < SILENT_TRIES_MAX) return;
    silentTries = 0;
    drop(client);
  };
  return {
    async run(work) {
      if (openUntilMs !== null) {
        if (performance.now() < openUntilMs) throw unavailable(new Error("The last command was not answered in time."));
        openUntilMs = performance.now() + PROBE_AFTER_MS;
      }
      if (client.status !== "ready") throw unavailable(new Error(`The connection is ${client.status}.`));
      try {
        const result = await work(client);
        openUntilMs = null;
        silentTries = 0;
        return result;
      } catch (error) {
        if (isLate(error)) noteLate();
        throw unavailable(error);
      }
    },
    async close() {
      close(client);
    },
  };
}

/** A transaction's answers; it resolves with errors inside, of which the first is thrown. */
export async function answersOf(exec: Promise<[Error | null, unknown][] | null>): Promise<unknown[]> {
  const results = await exec;
  if (results === null) throw new Error("Redis gave a transaction up.");
  return results.map(([error, value]) => {
    if (error !== null) throw error;
    return value;
  });
}
