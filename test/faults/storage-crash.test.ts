/**
 * kill -9 of a process that publishes, after each of its steps and a little later: whoever comes next can finish it, or
 * remove every trace of it, and at no time does the key hold anything but a whole object.
 */
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { openLocalBackend } from "../../src/storage/local/local-backend.ts";
import type { StagedBytes, StagedObject, StorageBackend } from "../../src/storage/port.ts";
import { put, sha256Of, someBytes } from "../contract/storage-subject.ts";
import { afterFile } from "../support/cleanup.ts";
import { makeTempDir } from "../support/temp-dir.ts";

const FIXTURE = resolve(import.meta.dir, "fixtures/storage-publisher.ts");
const KEY = "outputs/a.mp4";
/** Several chunks, so that there is a middle. */
const FRESH = someBytes(4 * 1024 * 1024 + 11, 7);

interface Step {
  readonly step: "ready" | "staged" | "bytes" | "filled" | "published";
  readonly value: unknown;
}

/** Which line to kill it after, and for how many microseconds to let it go on. */
interface Moment {
  readonly step: Step["step"];
  readonly count: number;
  readonly later: number;
}

const MOMENTS: readonly Moment[] = [
  { step: "ready", count: 1, later: 0 },
  { step: "ready", count: 1, later: 600 },
  { step: "staged", count: 1, later: 0 },
  { step: "bytes", count: 1, later: 0 },
  { step: "bytes", count: 3, later: 200 },
  { step: "bytes", count: 5, later: 0 },
  { step: "bytes", count: 5, later: 1_000 },
  { step: "filled", count: 1, later: 0 },
  { step: "filled", count: 1, later: 50 },
  { step: "filled", count: 1, later: 200 },
  { step: "filled", count: 1, later: 500 },
  { step: "filled", count: 1, later: 1_500 },
  { step: "published", count: 1, later: 0 },
];

/** Too short for a timer, and no wait for anything: the other process is meant to get somewhere. */
function goOn(microseconds: number): void {
  const end = performance.now() + microseconds / 1000;
  while (performance.now() < end);
}

async function runUntil(moment: Moment, argv: readonly string[]): Promise<Step[]> {
  const child = Bun.spawn([process.execPath, FIXTURE, ...argv], { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
  const steps: Step[] = [];
  let rest = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) steps.push(JSON.parse(line) as Step);
    if (steps[0]?.step === "ready" && steps.length === 1) {
      child.stdin.write("go\n");
      child.stdin.flush();
    }
    if (steps.filter(({ step }) => step === moment.step).length < moment.count) continue;
    goOn(moment.later);
    child.kill("SIGKILL");
    // Read on: what it said before it died counts, as a row would that was committed.
  }
  await child.exited;
  return steps;
}

const valueAt = <T>(steps: readonly Step[], step: Step["step"]): T | undefined =>
  steps.find((one) => one.step === step)?.value as T | undefined;

const shaAt = async (backend: StorageBackend): Promise<string | null> => {
  if ((await backend.stat(KEY)) === null) return null;
  return sha256Of(await new Response((await backend.open(KEY)).stream).bytes());
};

/** As a successor finds it: with a manifest it rolls forward, without one it cleans up. Resolves to how it ended. */
async function succeed(root: string, steps: readonly Step[], owner: StagedObject, ifAbsent: boolean): Promise<string> {
  const backend = await openLocalBackend({ name: "local", root });
  const filled = valueAt<StagedBytes>(steps, "filled");
  if (filled === undefined) {
    await backend.abort(valueAt<StagedObject>(steps, "staged") ?? owner);
    return "cleaned";
  }
  const { state } = await backend.settle(filled);
  expect(["staged", "published"]).toContain(state);
  const outcome = await backend.publish(filled, { ifAbsent });
  expect(outcome).toEqual({ outcome: "published", identity: filled.fingerprint });
  await backend.abort(filled);
  return "published";
}

async function round(root: string, workDir: string, moment: Moment, ifAbsent: boolean): Promise<string> {
  const backend = await openLocalBackend({ name: "local", root });
  const old = ifAbsent ? null : "the old object";
  if (old !== null) await put({ backend, workDir, reopen: async () => backend }, KEY, old);
  const file = join(workDir, "fresh");
  await mkdir(workDir, { recursive: true });
  await writeFile(file, FRESH);
  const owner = { backend: "local", key: KEY, jobId: Bun.randomUUIDv7(), leaseToken: 1, handle: "" };
  const steps = await runUntil(moment, [root, file, KEY, owner.jobId, ifAbsent ? "absent" : "replace"]);
  const oldSha = old === null ? null : sha256Of(old);
  expect([oldSha, sha256Of(FRESH)]).toContain(await shaAt(backend));
  const end = await succeed(root, steps, owner, ifAbsent);
  expect(await shaAt(backend)).toBe(end === "published" ? sha256Of(FRESH) : oldSha);
  const left = (await readdir(root, { recursive: true })).filter((path) => path !== "outputs" && path !== KEY);
  expect(left).toEqual([]);
  return end;
}

async function otherDisk(): Promise<string> {
  const path = await mkdtemp("/dev/shm/rendiff-crash-");
  afterFile(() => rm(path, { recursive: true, force: true }));
  return path;
}

describe("kill -9 of a publisher", () => {
  for (const disk of existsSync("/dev/shm") ? ["the same disk", "another disk"] : ["the same disk"]) {
    for (const ifAbsent of [true, false]) {
      const how = ifAbsent ? "where nothing was" : "over an old object";
      test(`${how}, work files on ${disk}`, async () => {
        const ends: string[] = [];
        for (const moment of MOMENTS) {
          const folder = await makeTempDir("crash");
          const root = disk === "another disk" ? await otherDisk() : join(folder, "root");
          ends.push(await round(root, join(folder, "work"), moment, ifAbsent));
        }
        // Both kinds of ends were seen, or the moments were not what they are meant to be.
        expect(new Set(ends)).toEqual(new Set(["cleaned", "published"]));
      }, 60_000);
    }
  }
});
