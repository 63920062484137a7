import { expect, test } from "bun:test";
import { makeLoneClaim } from "../../../src/jobs/lone-claim.ts";
import type { JobOutput } from "../../../src/jobs/store.ts";
import type { StagedObject, StorageBackend } from "../../../src/storage/port.ts";
import { silentLogger } from "../../../test/support/silent-logger.ts";
import type { AttemptPorts } from "../ports.ts";
import { makeScope } from "../scope.ts";
import { copyWithin, LeaseLost } from "./copy-within.ts";

const OUTPUT = {
  ...{ backend: "bucket", key: "old.mp4", identity: "one", sizeBytes: 5, sha256: "sum", mediaType: "video/mp4" },
} as JobOutput;
const PLACE = { backend: "bucket", key: "new.mp4" };

function prepare(fillFrom: StorageBackend["fillFrom"], isHeld: () => boolean = () => true) {
  const scope = makeScope();
  const recorded: unknown[] = [];
  const aborted: StagedObject[] = [];
  const backend = {
    ...{ name: "bucket", fillFrom },
    stage: async (key: string, owner: object) => ({ backend: "bucket", key, handle: "h", ...owner }),
    abort: async (staged: StagedObject) => void aborted.push(staged),
  };
  const copy = (output = OUTPUT, signal = new AbortController().signal) =>
    copyWithin(
      {
        ports: { storage: { backend: () => backend }, logger: silentLogger() } as unknown as AttemptPorts,
        recorder: { staged: async (objects) => recorded.push(...objects) > 0 && isHeld(), reusable: async () => [] },
        context: { claim: makeLoneClaim({}), scope },
        signal,
      },
      output,
      PLACE,
    );
  return { scope, recorded, aborted, copy };
}

test("the intent is on record before anything is staged, the handle before anything is copied", async () => {
  const { scope, recorded, copy } = prepare(async (staged, source, { mediaType }) => {
    expect(recorded).toEqual([PLACE, staged]);
    expect([source.key, mediaType]).toEqual(["old.mp4", "video/mp4"]);
    return { ...staged, sizeBytes: source.sizeBytes, sha256: source.sha256, fingerprint: "f" };
  });
  expect(await copy()).toMatchObject({ ...PLACE, sizeBytes: 5, sha256: "sum" });
  expect(scope.staged).toHaveLength(1);
});

test("what a store does not copy after all comes here, and its staging is given up", async () => {
  const { scope, aborted, copy } = prepare(() => Promise.reject(new Error("It would not.")));
  expect(await copy()).toBeNull();
  expect([aborted.map(({ key }) => key), scope.staged]).toEqual([["new.mp4"], []]);
});

test("what lies in another storage, or in one that cannot copy, is not touched", async () => {
  const { recorded, copy } = prepare(async () => Promise.reject(new Error("Never called.")));
  expect(await copy({ ...OUTPUT, backend: "elsewhere" })).toBeNull();
  expect(await prepare(undefined).copy()).toBeNull();
  expect(recorded).toEqual([]);
});

test("a lease that is lost ends it, and a cancel that comes meanwhile is no failure of the store", async () => {
  await expect(prepare(undefined).copy()).resolves.toBeNull();
  const lost = prepare(
    () => Promise.reject(new Error("Never called.")),
    () => false,
  );
  await expect(lost.copy()).rejects.toBeInstanceOf(LeaseLost);
  const controller = new AbortController();
  const cancelled = prepare(async () => {
    controller.abort(new Error("cancelled"));
    throw new Error("The request was aborted.");
  });
  await expect(cancelled.copy(OUTPUT, controller.signal)).rejects.toThrow("cancelled");
});
