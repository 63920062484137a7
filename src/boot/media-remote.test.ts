import { afterEach, expect, test } from "bun:test";
import type { MediaService } from "../../plugins/context.ts";
import { silentLogger } from "../../test/support/silent-logger.ts";
import { makeMemoryCoordination } from "../coordination/memory/memory.ts";
import { RendiffError, type RendiffErrorInit } from "../errors.ts";
import { answerRequests, askWorkers, ESTIMATES_AT_ONCE_MAX } from "./media-remote.ts";

const SPEC = { inputs: ["in.mp4"], output: "out.mp4", operations: [], options: {} };
const unasked = (): never => {
  throw new Error("Nobody asked for this.");
};

const aborted: MediaService["estimate"] = (_, signal) =>
  new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));

const opened: AsyncDisposableStack[] = [];
afterEach(async () => {
  for (const stack of opened.splice(0)) await stack.disposeAsync();
});

/** A replica that asks, and two workers of which either may answer; the second by `other`, where that is given. */
async function makeFleet(estimate: MediaService["estimate"], other = estimate) {
  const stack = new AsyncDisposableStack();
  opened.push(stack);
  const { bus, locks, close } = makeMemoryCoordination();
  stack.defer(close);
  for (const one of [estimate, other]) {
    const media: MediaService = { probe: unasked, plan: unasked, estimate: one };
    stack.defer(await answerRequests({ bus, locks, media, logger: silentLogger() }));
  }
  const remote = await askWorkers(bus, () => true);
  stack.defer(() => remote.close());
  return remote;
}

const failureOf = async (work: Promise<unknown>): Promise<RendiffError> => {
  const failure = await work.catch((error: unknown) => error);
  if (failure instanceof RendiffError) return failure;
  throw new Error(`It did not fail as it should: ${String(failure)}`);
};

test("one of the workers answers, with what it was asked", async () => {
  const asked: unknown[] = [];
  const { estimate } = await makeFleet(async (spec) => {
    asked.push(spec);
    return { samples: 3, warnings: ["one"] } as never;
  });
  expect(await estimate(SPEC as never, AbortSignal.timeout(5_000))).toMatchObject({ samples: 3, warnings: ["one"] });
  expect(asked).toEqual([SPEC]);
});

test("a worker's refusal arrives whole, with when to come back", async () => {
  const refusal: RendiffErrorInit = {
    ...{ kind: "service.unavailable", publicMessage: "Other estimates are under way.", retryAfterSeconds: 10 },
    ...{ details: [{ path: "input_path", message: "is too much" }], hint: "Wait.", evidence: "a line" },
  };
  const { estimate } = await makeFleet(() => Promise.reject(new RendiffError(refusal)));
  expect(await failureOf(estimate(SPEC as never, AbortSignal.timeout(5_000)))).toMatchObject(refusal);
});

test("what a worker does not say of itself stays out", async () => {
  const { estimate } = await makeFleet(() => Promise.reject(new Error("a secret path")));
  const failure = await failureOf(estimate(SPEC as never, AbortSignal.timeout(5_000)));
  expect(failure).toMatchObject({ kind: "internal", hint: null, retryAfterSeconds: null });
  expect(failure.message).not.toContain("secret");
});

test("who no longer waits is told so at once", async () => {
  const { estimate } = await makeFleet(aborted);
  const stop = new AbortController();
  const answer = estimate(SPEC as never, stop.signal);
  stop.abort();
  expect(await failureOf(answer)).toMatchObject({ kind: "service.unavailable", retryAfterSeconds: 5 });
});

test("a worker that is full leaves an estimate to one that is not, and refuses what nobody has room for", async () => {
  /** Two that never end, and then refusals. */
  const makeWorker = (): MediaService["estimate"] => {
    let count = 0;
    return (spec, signal) => {
      count += 1;
      if (count <= ESTIMATES_AT_ONCE_MAX) return aborted(spec, signal);
      return Promise.reject(new RendiffError({ kind: "service.unavailable", publicMessage: "Full." }));
    };
  };
  const { estimate } = await makeFleet(makeWorker(), makeWorker());
  const stop = new AbortController();
  const endless = Array.from({ length: 2 * ESTIMATES_AT_ONCE_MAX }, () => estimate(SPEC as never, stop.signal));
  const ends = Promise.allSettled(endless);
  const refused = await failureOf(estimate(SPEC as never, AbortSignal.timeout(5_000)));
  expect(refused.publicMessage).toBe("Full.");
  stop.abort();
  // Nobody refused these: they were still under way.
  for (const one of await ends)
    expect(one).toMatchObject({ reason: { publicMessage: expect.stringContaining("No worker answered in time") } });
});
