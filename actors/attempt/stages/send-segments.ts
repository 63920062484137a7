/**
 * A package's segments are sent as they are finished, and while the package is checked; what names them goes last, when the
 * check has ended well. Until then nobody knows their names.
 *
 * Segments that are encrypted after the check (AES-128) wait for it, and so do those of a store that would take the very
 * files. Each round is larger than the one before, so that the statements of a job do not grow with its film.
 */
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { mediaTypeOf } from "../../../src/media/streaming/media-type.ts";
import type { PackagePlan, PlanStep } from "../../../src/media/types.ts";
import type { StorageBackend } from "../../../src/storage/port.ts";
import type { AheadOutput, AttemptContext } from "../attempt.types.ts";
import { fewAtOnce } from "../few-at-once.ts";
import type { AttemptPorts } from "../ports.ts";
import type { Recorder } from "../recorder.ts";
import { track, workDirOf } from "../scope.ts";
import { outputPlace, type RunnableSpec, runnableOf } from "../spec.ts";
import { fillEarly } from "./fill-early.ts";

const LOOK_MS = 200;
const FIRST_ROUND_BYTES = 4 * 1024 * 1024;
const GROWTH = 4;
/** Of one job; each may send several parts of its own. */
const UPLOADS_AT_ONCE = 4;

export interface Segments {
  begin(step: PlanStep): void;
  end(): void;
  /** What is being sent, by the output's file; known as soon as the files are whole. */
  settle(): Promise<ReadonlyMap<string, AheadOutput>>;
}

interface Found {
  /** In the work folder. */
  readonly file: string;
  readonly sizeBytes: number;
}

/** Below the package's folder: all but the newest of each rendition, which may still be written; all when it has ended. */
async function finishedSegments(workDir: string, plan: PackagePlan, ended: boolean): Promise<Found[]> {
  const found: Found[] = [];
  for (const { id } of plan.renditions) {
    const folder = `${plan.folder}/${plan.segments}/${id}`;
    const names = await readdir(join(workDir, folder)).catch(() => []);
    const numbers = names.map((name) => Number.parseInt(name, 10)).filter((number) => !Number.isNaN(number));
    const newest = Math.max(0, ...numbers);
    // What has no number is an initialization segment, which is written anew at the end.
    const finished = names.filter((name) => ended || Number.parseInt(name, 10) < newest);
    for (const name of finished) {
      const file = `${folder}/${name}`;
      found.push({ file, sizeBytes: (await lstat(join(workDir, file))).size });
    }
  }
  return found;
}

type Filled = Awaited<AheadOutput["filled"]>;

/** Sends rounds of files, one round after another; each is on record before its first byte leaves. */
class Rounds {
  readonly sent = new Map<string, AheadOutput>();
  readonly #ports: AttemptPorts;
  readonly #recorder: Recorder;
  readonly #context: AttemptContext;
  readonly #signal: AbortSignal;
  readonly #spec: RunnableSpec;
  #filling: Promise<void> = Promise.resolve();

  constructor(ports: AttemptPorts, recorder: Recorder, context: AttemptContext, signal: AbortSignal) {
    this.#ports = ports;
    this.#recorder = recorder;
    this.#context = context;
    this.#signal = signal;
    this.#spec = runnableOf(context.claim.job, ports.storage);
  }

  get backend(): StorageBackend {
    return this.#ports.storage.backend(this.#spec.output.backend);
  }

  /** Resolves when all are begun; false: the lease is lost. */
  async send(packaged: PackagePlan, files: readonly Found[]): Promise<boolean> {
    const { claim, scope } = this.#context;
    const { jobId, leaseToken } = claim.lease;
    const { backend } = this;
    const placed = files.map(({ file }) => {
      const name = `${packaged.name}${file.slice(packaged.folder.length)}`;
      return { ...outputPlace(this.#spec.output, name), file, mediaType: mediaTypeOf(file) };
    });
    if (!(await this.#recorder.staged(placed.map(({ key }) => ({ backend: backend.name, key }))))) return false;
    const begun = await fewAtOnce(placed, UPLOADS_AT_ONCE, async ({ key, file, mediaType }) => {
      const staged = await backend.stage(key, { jobId, leaseToken }, this.#signal, mediaType);
      scope.staged = [...scope.staged, staged];
      return { staged, file, mediaType };
    });
    if (!(await this.#recorder.staged(begun.map(({ staged }) => staged)))) return false;
    const all = begun.map(({ staged, file, mediaType }) => {
      const { promise, resolve, reject } = Promise.withResolvers<Filled>();
      promise.catch(() => {});
      this.sent.set(file, { staged, filled: promise });
      const path = join(workDirOf(scope), file);
      const fill = () => fillEarly(backend, staged, path, { mediaType, signal: this.#signal }).then(resolve);
      return { fill, reject };
    });
    // One that fails fails the job, with those that were not begun by then.
    const fail = (error: unknown): void => {
      for (const { reject } of all) reject(error);
    };
    const before = this.#filling;
    this.#filling = before.then(() => fewAtOnce(all, UPLOADS_AT_ONCE, ({ fill }) => fill())).then(() => {}, fail);
    void track(scope, this.#filling);
    return true;
  }
}

export function makeSegments(
  ports: AttemptPorts,
  recorder: Recorder,
  context: AttemptContext,
  signal: AbortSignal,
): Segments {
  const { claim, plan, scope } = context;
  const rounds = new Rounds(ports, recorder, context, signal);
  const ended = Promise.withResolvers<void>();
  let isBegun = false;
  let isEnded = false;
  let sending: Promise<void> = Promise.resolve();
  signal.addEventListener("abort", () => ended.resolve(), { once: true });

  async function run(packaged: PackagePlan): Promise<void> {
    const taken = new Set<string>();
    for (let roundBytes = FIRST_ROUND_BYTES; ; ) {
      signal.throwIfAborted();
      const isLast = isEnded;
      const finished = await finishedSegments(workDirOf(scope), packaged, isLast);
      const files = finished.filter(({ file }) => !taken.has(file));
      const bytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      if (bytes >= (isLast ? FIRST_ROUND_BYTES : roundBytes)) {
        for (const { file } of files) taken.add(file);
        if (!(await rounds.send(packaged, files))) return;
        roundBytes *= GROWTH;
      }
      if (isLast) return;
      await Promise.race([ended.promise, Bun.sleep(LOOK_MS)]);
    }
  }

  return {
    begin({ program }) {
      const packaged = plan?.package;
      if (program !== "packager" || packaged === undefined) return;
      if (packaged.encryption === "aes-128" || rounds.backend.properties.inPlace) return;
      isBegun = true;
      sending = track(scope, run(packaged));
      sending.catch((error: unknown) => {
        if (signal.aborted) return;
        ports.logger.info({ err: error, jobId: claim.lease.jobId }, "segments are sent when all are there after all");
      });
    },
    end() {
      if (!isBegun) return;
      isEnded = true;
      ended.resolve();
    },
    async settle() {
      await sending.catch(() => {});
      return rounds.sent;
    },
  };
}
