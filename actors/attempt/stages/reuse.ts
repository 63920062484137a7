/**
 * `options.reuse`: looks for an earlier job of the same key with the same inputs and the same spec, and takes its outputs
 * over, each with the checksum it was published with: their store copies them to where the job stages its own, or they are
 * brought here. Whatever speaks against one (deleted, replaced, changed, its storage away) is no failure: the work is done
 * instead.
 *
 * The same input is the same place with the same identity (a store's ETag, a file's inode, size and time). Where that finds
 * nothing and every input can be read in place, its checksum is looked for too.
 */
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { RendiffError } from "../../../src/errors.ts";
import { fingerprintOf, type InputPrint, type ReusableResult } from "../../../src/jobs/reuse.ts";
import type { JobOutput } from "../../../src/jobs/store.ts";
import type { ObjectStat, StagedBytes } from "../../../src/storage/port.ts";
import { parseStorageUri } from "../../../src/storage/uri.ts";
import { download } from "../../../src/transfer/download.ts";
import {
  type AttemptContext,
  type Held,
  held,
  LEASE_LOST,
  type PreparedInput,
  type Reused,
  type ReuseReport,
  type VerifiedOutput,
} from "../attempt.types.ts";
import { fewAtOnce } from "../few-at-once.ts";
import type { AttemptPorts } from "../ports.ts";
import type { Recorder } from "../recorder.ts";
import { reserve } from "../reserve.ts";
import { workDirOf } from "../scope.ts";
import { fileNameOf, outputName, outputPlace, type RunnableSpec, runnableOf } from "../spec.ts";
import { type CopyPorts, copyWithin, discardAll, LeaseLost } from "./copy-within.ts";
import { statInput } from "./download.ts";
import { refuseOutputs } from "./plan.ts";

/** As many as are uploaded at once. */
const COPIES_AT_ONCE = 4;

type SeenInput = Pick<PreparedInput, "ref" | "identity" | "sizeBytes">;

const printOf = ({ operations, options, output }: RunnableSpec, inputs: readonly InputPrint[]): string | null =>
  fingerprintOf({ operations, options, outputName: fileNameOf(output), inputs });

/** A web server's date and length do not prove that the bytes are the same; its strong ETag does. */
const isProof = ({ storage }: Pick<AttemptPorts, "storage">, { ref, identity }: SeenInput): boolean =>
  storage.backend(ref.backend).properties.type !== "http" || identity.startsWith('"');

function byPlace(ports: Pick<AttemptPorts, "storage">, spec: RunnableSpec, inputs: readonly SeenInput[]) {
  if (!inputs.every((input) => isProof(ports, input))) return null;
  return printOf(
    spec,
    inputs.map(({ ref: { backend, key }, identity }) => ({ backend, key, identity })),
  );
}

/** What the outputs of these inputs can be found by. */
export function fingerprintsOf(
  ports: Pick<AttemptPorts, "storage">,
  spec: RunnableSpec,
  inputs: readonly SeenInput[],
  report: ReuseReport | null,
): readonly string[] {
  const place = byPlace(ports, spec, inputs);
  // The checksum was made of what lay there then.
  const same = report !== null && inputs.every(({ identity }, index) => identity === report.inputs[index]?.identity);
  return [place, same ? report.byBytes : null].filter((print) => print !== null);
}

/** Null where an input has to be fetched first, or changed while it was read. */
async function byBytes(ports: AttemptPorts, spec: RunnableSpec, inputs: readonly SeenInput[], signal: AbortSignal) {
  const sums: InputPrint[] = [];
  for (const { ref, identity } of inputs) {
    const backend = ports.storage.backend(ref.backend);
    if (!backend.properties.inPlace) return null;
    const hasher = new Bun.CryptoHasher("sha256");
    const { stream } = await backend.open(ref.key, { ifIdentity: identity, signal });
    for await (const bytes of stream as unknown as AsyncIterable<Uint8Array>) hasher.update(bytes);
    if ((await backend.stat(ref.key, signal))?.identity !== identity) return null;
    sums.push({ sha256: hasher.digest("hex") });
  }
  return printOf(spec, sums);
}

const unusable = (why: string): RendiffError =>
  new RendiffError({ kind: "input.changed", publicMessage: `An output of the earlier job ${why}.` });

async function statOutput({ storage }: AttemptPorts, output: JobOutput, signal: AbortSignal): Promise<ObjectStat> {
  const stat = await storage.backend(output.backend).stat(output.key, signal);
  if (stat === null) throw unusable("is gone");
  if (stat.identity !== output.identity) throw unusable("was changed");
  return stat;
}

async function fetchOutput(
  ports: AttemptPorts,
  output: JobOutput,
  { stat, path, signal }: { stat: ObjectStat; path: string; signal: AbortSignal },
): Promise<void> {
  const { backend: name, key } = output;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await download({ backend: ports.storage.backend(name), key, stat, path, signal });
  const hasher = new Bun.CryptoHasher("sha256");
  for await (const bytes of Bun.file(path).stream()) hasher.update(bytes);
  if (hasher.digest("hex") !== output.sha256) throw unusable("has another checksum than when it was published");
  ports.metrics.storageTransferred({ backend: name, direction: "download", bytes: stat.sizeBytes });
}

/** An earlier output, and where it goes. */
interface Taking {
  readonly output: JobOutput;
  readonly stat: ObjectStat;
  readonly name: string | null;
  /** In the work folder. */
  readonly file: string;
}

/** Throws what speaks against this result. */
async function lookAt(to: CopyPorts, spec: RunnableSpec, found: ReusableResult): Promise<Taking[]> {
  const { ports, signal } = to;
  const place = parseStorageUri(found.output, { backends: ports.storage.names });
  const takings: Taking[] = [];
  for (const [index, output] of found.outputs.entries()) {
    const stat = await statOutput(ports, output, signal);
    const name = outputName(place, output);
    if (name === undefined) throw unusable("lies elsewhere");
    takings.push({ output, stat, name, file: `out/${index}` });
  }
  if (takings.length === 0) throw unusable("is not on record");
  const names = takings.map(({ name }) => name);
  await refuseOutputs(ports, spec, names, signal);
  return takings;
}

/** What no store copies by itself comes to the work folder. */
async function fetchRest(to: CopyPorts, takings: readonly Taking[]): Promise<void> {
  const { ports, signal } = to;
  const { claim, scope } = to.context;
  scope.workDir = await ports.workFolders.create(claim.lease);
  const bytes = takings.reduce((sum, { stat }) => sum + stat.sizeBytes, 0);
  const reservation = await reserve(ports.workFolders, claim.lease, bytes);
  try {
    for (const { output, stat, file } of takings) {
      await fetchOutput(ports, output, { stat, path: join(workDirOf(scope), file), signal });
    }
    scope.reservations.push(reservation);
  } catch (error) {
    // What is done instead reserves its own.
    reservation.release();
    throw error;
  }
}

/** Throws what speaks against this result. */
async function takeOver(to: CopyPorts, spec: RunnableSpec, found: ReusableResult): Promise<Reused> {
  const takings = await lookAt(to, spec, found);
  const copied = new Map<string, StagedBytes>();
  try {
    const copy = async ({ output, name, file }: Taking): Promise<void> => {
      const bytes = await copyWithin(to, output, outputPlace(spec.output, name));
      if (bytes !== null) copied.set(file, bytes);
    };
    // A store that does not copy one is not asked for hundreds.
    await fewAtOnce(takings.slice(0, 1), 1, copy);
    if (copied.size > 0) await fewAtOnce(takings.slice(1), COPIES_AT_ONCE, copy);
    await fetchRest(
      to,
      takings.filter(({ file }) => !copied.has(file)),
    );
  } catch (error) {
    if (!(error instanceof LeaseLost) && !to.signal.aborted) await discardAll(to);
    throw error;
  }
  const outputs = takings.map(
    ({ output: { role, mediaType, media }, name, file }): VerifiedOutput => ({
      output: { role, file, name, mediaType },
      media,
    }),
  );
  return { jobId: found.jobId, results: found.results, warnings: found.warnings, outputs, copied };
}

/** Null when there is none that can be had. */
async function firstOf(
  to: CopyPorts,
  spec: RunnableSpec,
  candidates: readonly ReusableResult[],
): Promise<Reused | null> {
  const { ports, context, signal } = to;
  for (const found of candidates) {
    try {
      return await takeOver(to, spec, found);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof LeaseLost) throw error;
      if (error instanceof RendiffError && error.kind.startsWith("output.")) throw error;
      const { jobId } = context.claim.lease;
      ports.logger.info({ err: error, jobId, earlier: found.jobId }, "an earlier result could not be taken over");
    }
  }
  return null;
}

async function search(to: CopyPorts): Promise<ReuseReport> {
  const { ports, recorder, context, signal } = to;
  const spec = runnableOf(context.claim.job, ports.storage);
  const inputs: SeenInput[] = [];
  for (const ref of spec.inputs) {
    const { identity, sizeBytes } = await statInput(ports, ports.storage.backend(ref.backend), ref, signal);
    inputs.push({ ref, identity, sizeBytes });
  }
  const find = async (print: string | null): Promise<Reused | null> =>
    print === null ? null : await firstOf(to, spec, await recorder.reusable([print]));
  const found = await find(byPlace(ports, spec, inputs));
  if (found !== null) return { inputs, byBytes: null, reused: found };
  const sums = await byBytes(ports, spec, inputs, signal);
  return { inputs, byBytes: sums, reused: await find(sums) };
}

export async function reuse(
  ports: AttemptPorts,
  recorder: Recorder,
  context: AttemptContext,
  signal: AbortSignal,
): Promise<Held<ReuseReport>> {
  try {
    return held(await search({ ports, recorder, context, signal }));
  } catch (error) {
    if (error instanceof LeaseLost) return LEASE_LOST;
    throw error;
  }
}
