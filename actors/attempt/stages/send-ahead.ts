/**
 * Outputs are sent while they are written, where the store can take parts of them: what is left when FFmpeg ends is the
 * first part and the last bytes, which go while the output is verified. Nothing is begun for an output that is not larger
 * than a few parts, and parts that did not get through are no failure: `fill` sends everything that is not there.
 */
import { lstat } from "node:fs/promises";
import { join } from "node:path";
import type { PlannedOutput, PlanStep } from "../../../src/media/types.ts";
import type { Growing, SentAhead, StagedObject, StorageBackend } from "../../../src/storage/port.ts";
import type { AheadOutput, AttemptContext } from "../attempt.types.ts";
import type { AttemptPorts } from "../ports.ts";
import type { Recorder } from "../recorder.ts";
import { track, workDirOf } from "../scope.ts";
import { outputPlace, runnableOf } from "../spec.ts";
import { fillEarly } from "./fill-early.ts";
import { makeSegments } from "./send-segments.ts";

export interface Ahead {
  /** The step is about to write its files. */
  begin(step: PlanStep): void;
  /** They are whole. */
  end(): void;
  /** What is being sent, by the output's file; known as soon as the files are whole. */
  settle(): Promise<ReadonlyMap<string, AheadOutput>>;
  /** The files are of no use. The scope knows when nothing is under way any more. */
  stop(): Promise<void>;
}

/** Between two looks at what FFmpeg has written: for as long at most the line is idle though a part is there. */
const LOOK_MS = 100;

class Growth implements Growing {
  #next = Promise.withResolvers<void>();
  #whole = false;

  moved(): void {
    this.#next.resolve();
    this.#next = Promise.withResolvers();
  }

  end(): void {
    this.#whole = true;
    this.moved();
  }

  async next(signal: AbortSignal): Promise<boolean> {
    if (this.#whole) return true;
    const aborted = Promise.withResolvers<void>();
    const abort = (): void => aborted.resolve();
    signal.addEventListener("abort", abort, { once: true });
    try {
      await Promise.race([this.#next.promise, aborted.promise]);
    } finally {
      signal.removeEventListener("abort", abort);
    }
    signal.throwIfAborted();
    return this.#whole;
  }
}

type Send = (output: PlannedOutput, step: PlanStep, growing: Growing) => Promise<AheadOutput | null>;

function makeSend(
  ports: AttemptPorts,
  recorder: Recorder,
  { claim, scope }: AttemptContext,
  signal: AbortSignal,
): Send {
  const spec = runnableOf(claim.job, ports.storage);
  const say = (error: unknown): void =>
    ports.logger.info({ err: error, jobId: claim.lease.jobId }, "an output is sent when it is whole after all");

  /** Begun as soon as there is something to send: a small output costs nothing. */
  async function stage(
    backend: StorageBackend,
    key: string,
    { mediaType }: PlannedOutput,
  ): Promise<StagedObject | null> {
    const { jobId, leaseToken } = claim.lease;
    if (!(await recorder.staged([{ backend: backend.name, key }]))) return null;
    const staged = await backend.stage(key, { jobId, leaseToken }, signal, mediaType);
    scope.staged = [...scope.staged, staged];
    return (await recorder.staged([staged])) ? staged : null;
  }

  async function fill(staged: StagedObject, path: string, { mediaType }: PlannedOutput, sending: Promise<SentAhead>) {
    const backend = ports.storage.backend(staged.backend);
    // Whatever becomes of it, `fill` goes on in the same place.
    const sent = await sending.catch((problem: unknown): SentAhead => ({ partBytes: 0, sums: new Map(), problem }));
    signal.throwIfAborted();
    if (sent.problem !== null) say(sent.problem);
    return await fillEarly(backend, staged, path, { mediaType, ahead: sent, signal });
  }

  async function send(
    output: PlannedOutput,
    { fileBytesMax }: PlanStep,
    growing: Growing,
  ): Promise<AheadOutput | null> {
    const { backend: name, key } = outputPlace(spec.output, output.name);
    const backend = ports.storage.backend(name);
    if (backend.sendAhead === undefined) return null;
    const path = join(workDirOf(scope), output.file);
    if (!(await isWorthIt(path, growing, signal))) return null;
    const staged = await stage(backend, key, output);
    if (staged === null) return null;
    const sending = backend.sendAhead(staged, path, { growing, sizeBytesMax: fileBytesMax, signal });
    const filled = wholeOf(growing, signal).then(() => fill(staged, path, output, sending));
    sending.catch(() => {});
    filled.catch(() => {});
    void track(scope, filled);
    return { staged, filled };
  }

  return async (output, step, growing) => {
    try {
      return await send(output, step, growing);
    } catch (error) {
      if (!signal.aborted) say(error);
      return null;
    }
  };
}

export function makeAhead(ports: AttemptPorts, recorder: Recorder, context: AttemptContext): Ahead {
  const { scope, plan } = context;
  const useless = new AbortController();
  const signal = AbortSignal.any([scope.unwanted.signal, useless.signal]);
  const growths: Growth[] = [];
  const sending = new Map<string, Promise<AheadOutput | null>>();
  const send = makeSend(ports, recorder, context, signal);
  const segments = makeSegments(ports, recorder, context, signal);
  let looking: Timer | undefined;
  return {
    begin(step) {
      growths.length = 0;
      clearInterval(looking);
      looking = setInterval(() => {
        for (const growth of growths) growth.moved();
      }, LOOK_MS);
      segments.begin(step);
      for (const output of plan?.outputs ?? []) {
        const isLast = plan?.steps.findLast(({ writes }) => writes.includes(output.file))?.id === step.id;
        if (!isLast || output.content !== undefined) continue;
        const growth = new Growth();
        growths.push(growth);
        sending.set(output.file, track(scope, send(output, step, growth)));
      }
    },
    end() {
      clearInterval(looking);
      segments.end();
      for (const growth of growths) growth.end();
    },
    async settle() {
      const found = new Map(await segments.settle());
      for (const [file, work] of sending) {
        const output = await work;
        if (output !== null) found.set(file, output);
      }
      signal.throwIfAborted();
      return found;
    },
    async stop() {
      clearInterval(looking);
      useless.abort();
      await Promise.allSettled(sending.values());
      await segments.settle().catch(() => {});
    },
  };
}

/** Two parts of what stores take: below it one request at the end does as well. */
const WORTH_BYTES = 10 * 1024 * 1024;

async function wholeOf(growing: Growing, signal: AbortSignal): Promise<void> {
  while (!(await growing.next(signal)));
}

/** False when the file is whole before. */
async function isWorthIt(path: string, growing: Growing, signal: AbortSignal): Promise<boolean> {
  for (;;) {
    // FFmpeg makes it when it begins to write.
    const stat = await lstat(path).catch(() => null);
    if ((stat?.size ?? 0) >= WORTH_BYTES) return true;
    if (await growing.next(signal)) return false;
  }
}
