/** Staging and publishing, whatever happens in between: the part of the storage suite that protocol.md rests on. */
import { describe, expect, test } from "bun:test";
import type { BackendProperties, StorageBackend } from "../../src/storage/port.ts";
import {
  keysOf,
  kindOf,
  makeFile,
  makeLargeFile,
  newOwner,
  publish,
  put,
  read,
  type StorageSubject,
  sha256Of,
  someBytes,
  stageAndFill,
  withoutHandle,
} from "./storage-subject.ts";

const KEY = "folder/a.mp4";

export function publishingContract(properties: BackendProperties, current: () => StorageSubject): void {
  /** Closes the backend's stand-in for a process that died, and goes on as its successor. */
  async function successor<T>(work: (backend: StorageBackend) => Promise<T>): Promise<T> {
    const backend = await current().reopen();
    try {
      return await work(backend);
    } finally {
      await backend.close();
    }
  }

  describe("stage and fill", () => {
    test("say what was stored, and show it to nobody", async () => {
      const { backend } = current();
      const content = someBytes(100_000);
      const owner = newOwner();
      const staged = await backend.stage(KEY, owner);
      expect(staged).toMatchObject({ backend: backend.name, key: KEY, ...owner });
      const totals: number[] = [];
      const file = await makeFile(current(), content);
      const bytes = await backend.fill(staged, file, { mediaType: "video/mp4", onBytes: (n) => totals.push(n) });
      expect(bytes).toMatchObject({ ...staged, sizeBytes: content.length, sha256: sha256Of(content) });
      expect(totals.at(-1)).toBe(content.length);
      expect(totals).toEqual([...totals].sort((a, b) => a - b));
      expect(await backend.stat(KEY)).toBeNull();
      expect(await keysOf(backend)).toEqual([]);
      expect(await backend.settle(bytes)).toEqual({ state: "staged" });
    });

    test("are plain data: what was stored as JSON is published as well", async () => {
      const bytes = await stageAndFill(current(), KEY, "hello");
      const stored = JSON.parse(JSON.stringify(bytes));
      expect(stored).toEqual(bytes);
      expect(await publish(current().backend, stored)).toMatchObject({ outcome: "published" });
    });

    test("a fill that is aborted leaves nothing", async () => {
      const { backend } = current();
      const staged = await backend.stage(KEY, newOwner());
      const controller = new AbortController();
      const filling = backend.fill(staged, await makeLargeFile(current(), 32 * 1024 * 1024), {
        mediaType: "video/mp4",
        signal: controller.signal,
        onBytes: () => controller.abort(new Error("cancelled")),
      });
      await expect(filling).rejects.toThrow("cancelled");
      await backend.abort(staged);
      expect(await backend.stat(KEY)).toBeNull();
      await expect(backend.stage(KEY, newOwner(), controller.signal)).rejects.toThrow("cancelled");
    });

    test("what was found of a file before is believed of that very file only", async () => {
      const { backend } = current();
      const file = await makeFile(current(), someBytes(100_000));
      const prepared = (await backend.prepare?.(file)) ?? null;
      if (prepared === null) return;
      expect(prepared).toMatchObject({ sizeBytes: 100_000, sha256: sha256Of(someBytes(100_000)) });
      const claimed = { ...prepared, sha256: "0".repeat(64) };
      const fill = async (path: string, key: string) =>
        (await backend.fill(await backend.stage(key, newOwner()), path, { mediaType: "video/mp4", prepared: claimed }))
          .sha256;
      expect(await fill(file, KEY)).toBe(claimed.sha256);
      const other = await makeFile(current(), someBytes(50_000));
      expect(await fill(other, KEY)).toBe(sha256Of(someBytes(50_000)));
    });

    test("a file that is not there is no output", async () => {
      const { backend, workDir } = current();
      const staged = await backend.stage(KEY, newOwner());
      expect(await kindOf(backend.fill(staged, `${workDir}/none`, { mediaType: "video/mp4" }))).toBe("output.invalid");
    });
  });

  describe("publish", () => {
    test("makes the bytes visible under their key, with the identity that stat says", async () => {
      const { backend } = current();
      const bytes = await stageAndFill(current(), KEY, "hello");
      const outcome = await publish(backend, bytes);
      const stat = await backend.stat(KEY);
      expect(outcome).toEqual({ outcome: "published", identity: stat?.identity ?? "" });
      expect(await backend.settle(bytes)).toEqual({ state: "published", identity: stat?.identity ?? "" });
      expect(await read(backend, KEY)).toBe("hello");
    });

    test.each([true, false])("twice is once (ifAbsent: %p)", async (ifAbsent) => {
      const bytes = await stageAndFill(current(), KEY, "hello");
      const first = await publish(current().backend, bytes, ifAbsent);
      expect(first.outcome).toBe("published");
      expect(await publish(current().backend, bytes, ifAbsent)).toEqual(first);
      expect(await successor((backend) => publish(backend, bytes, ifAbsent))).toEqual(first);
      expect(await keysOf(current().backend)).toEqual([KEY]);
    });

    test("replaces what is there, and a reader keeps the object that it opened", async () => {
      const { backend } = current();
      const [old, fresh] = [someBytes(2_000_000, 1), someBytes(2_000_000, 2)];
      await put(current(), KEY, old);
      const opened = await backend.open(KEY);
      const reader = opened.stream.getReader();
      const parts = [(await reader.read()).value ?? new Uint8Array()];
      await put(current(), KEY, fresh);
      for (let part = await reader.read(); !part.done; part = await reader.read()) parts.push(part.value);
      expect(sha256Of(Buffer.concat(parts))).toBe(sha256Of(old));
      expect(sha256Of(await new Response((await backend.open(KEY)).stream).bytes())).toBe(sha256Of(fresh));
    });

    test("at every moment there is one whole object", async () => {
      const { backend } = current();
      const versions = [1, 2, 3, 4].map((seed) => someBytes(300_000, seed));
      const known = new Set(versions.map(sha256Of));
      await put(current(), KEY, versions[0] ?? "");
      let done = false;
      const reading = (async () => {
        let looks = 0;
        for (; !done || looks === 0; looks++) {
          const bytes = await new Response((await backend.open(KEY)).stream).bytes();
          expect(known.has(sha256Of(bytes))).toBe(true);
        }
      })();
      for (const version of [...versions, ...versions, ...versions]) await put(current(), KEY, version);
      done = true;
      await reading;
    });

    test("ifAbsent leaves another's object alone and keeps the staged bytes", async () => {
      const { backend } = current();
      await put(current(), KEY, "first");
      const bytes = await stageAndFill(current(), KEY, "second");
      expect(await publish(backend, bytes, true)).toEqual({ outcome: "exists" });
      expect(await read(backend, KEY)).toBe("first");
      expect(await backend.settle(bytes)).toEqual({ state: "staged" });
      expect(await publish(backend, bytes, false)).toMatchObject({ outcome: "published" });
      expect(await read(backend, KEY)).toBe("second");
    });

    if (properties.conditionalPublish) {
      test("two jobs for one key are staged side by side; ifAbsent lets one of them win", async () => {
        const all = await Promise.all(["one", "two", "three"].map((text) => stageAndFill(current(), KEY, text)));
        const outcomes = await Promise.all(all.map((bytes) => publish(current().backend, bytes, true)));
        expect(outcomes.filter(({ outcome }) => outcome === "published")).toHaveLength(1);
        expect(outcomes.filter(({ outcome }) => outcome === "exists")).toHaveLength(2);
        const winner = outcomes.findIndex(({ outcome }) => outcome === "published");
        expect(await read(current().backend, KEY)).toBe(["one", "two", "three"][winner] ?? "");
      });
    } else {
      test("two jobs for one key are staged side by side; ifAbsent lets the first of them win", async () => {
        const [one, two] = [await stageAndFill(current(), KEY, "one"), await stageAndFill(current(), KEY, "two")];
        expect(await publish(current().backend, one, true)).toMatchObject({ outcome: "published" });
        expect(await publish(current().backend, two, true)).toEqual({ outcome: "exists" });
        expect(await read(current().backend, KEY)).toBe("one");
      });
    }

    test("the last of two jobs that replace wins, and the first is told that its object is gone", async () => {
      const { backend } = current();
      const [one, two] = [await stageAndFill(current(), KEY, "one"), await stageAndFill(current(), KEY, "two")];
      await publish(backend, one);
      await publish(backend, two);
      expect(await backend.settle(one)).toEqual({ state: "lost" });
      expect(await publish(backend, one)).toEqual({ outcome: "lost" });
      expect(await read(backend, KEY)).toBe("two");
    });

    test("two attempts of one job do not share their staging", async () => {
      const { backend } = current();
      const owner = newOwner();
      const first = await stageAndFill(current(), KEY, "first", owner);
      const second = await stageAndFill(current(), KEY, "second", { ...owner, leaseToken: 2 });
      await backend.abort(first);
      expect(await publish(backend, second)).toMatchObject({ outcome: "published" });
      expect(await read(backend, KEY)).toBe("second");
    });

    test("two outputs of one job in one folder do not share their staging", async () => {
      const owner = newOwner();
      const [a, b] = [await stageAndFill(current(), "a", "A", owner), await stageAndFill(current(), "b", "B", owner)];
      for (const bytes of [a, b]) await publish(current().backend, bytes);
      expect([await read(current().backend, "a"), await read(current().backend, "b")]).toEqual(["A", "B"]);
    });

    test("what was deleted after publishing is lost, and not published again", async () => {
      const { backend } = current();
      const bytes = await stageAndFill(current(), KEY, "hello");
      const outcome = await publish(backend, bytes);
      expect(outcome.outcome).toBe("published");
      if (outcome.outcome === "published") expect(await backend.delete(KEY, outcome.identity)).toBe(true);
      expect(await backend.settle(bytes)).toEqual({ state: "lost" });
      expect(await publish(backend, bytes)).toEqual({ outcome: "lost" });
      expect(await backend.stat(KEY)).toBeNull();
    });
  });

  describe("abort", () => {
    test("removes the staged bytes, as often as it is called", async () => {
      const { backend } = current();
      const bytes = await stageAndFill(current(), KEY, "hello");
      for (let i = 0; i < 3; i++) await backend.abort(bytes);
      expect(await backend.settle(bytes)).toEqual({ state: "lost" });
      expect(await publish(backend, bytes)).toEqual({ outcome: "lost" });
      expect(await backend.stat(KEY)).toBeNull();
    });

    test("never touches a published object", async () => {
      const { backend } = current();
      const bytes = await stageAndFill(current(), KEY, "hello");
      await publish(backend, bytes);
      await backend.abort(bytes);
      await backend.abort(withoutHandle(bytes));
      expect(await read(backend, KEY)).toBe("hello");
    });

    if (properties.findsStaging) {
      test("of an intent alone finds what was staged, or that nothing was", async () => {
        const { backend } = current();
        const bytes = await stageAndFill(current(), KEY, "hello");
        const other = await stageAndFill(current(), KEY, "other");
        await backend.abort(withoutHandle(bytes));
        expect(await backend.settle(bytes)).toEqual({ state: "lost" });
        expect(await backend.settle(other)).toEqual({ state: "staged" });
        await backend.abort({ backend: backend.name, key: "never/staged", ...newOwner(), handle: "" });
      });
    } else {
      test("of an intent alone says that empty staging may still be somebody's, and leaves bytes alone", async () => {
        const { backend } = current();
        const bytes = await stageAndFill(current(), KEY, "hello");
        await backend.abort(withoutHandle(bytes));
        const begun = await backend.stage(KEY, newOwner());
        expect(await kindOf(backend.abort(withoutHandle(begun)))).toBe("storage.unavailable");
        expect(await backend.settle(bytes)).toEqual({ state: "staged" });
        await backend.abort({ backend: backend.name, key: "never/staged", ...newOwner(), handle: "" });
      });
    }

    test("refuses a handle that no stage could have given", async () => {
      const { backend } = current();
      const victim = "folder/victim";
      const identity = await put(current(), victim, "hello");
      const staged = await backend.stage(KEY, newOwner());
      for (const handle of [victim, `0:${victim}`, "../x", `${staged.handle}/../victim`]) {
        await backend.abort({ ...staged, handle }).catch(() => {});
      }
      expect(await backend.stat(victim)).toMatchObject({ identity });
    });
  });

  describe("a successor after a crash", () => {
    test("after stage: removes it", async () => {
      const staged = await current().backend.stage(KEY, newOwner());
      await successor((backend) => backend.abort(staged));
      expect(await current().backend.stat(KEY)).toBeNull();
    });

    test("after fill: sees staged bytes, and publishes them", async () => {
      const bytes = await stageAndFill(current(), KEY, "hello");
      await successor(async (backend) => {
        expect(await backend.settle(bytes)).toEqual({ state: "staged" });
        expect(await publish(backend, bytes)).toMatchObject({ outcome: "published" });
      });
      expect(await read(current().backend, KEY)).toBe("hello");
    });

    test("after publish: sees that it is done", async () => {
      const bytes = await stageAndFill(current(), KEY, "hello");
      const first = await publish(current().backend, bytes);
      await successor(async (backend) => {
        expect(await backend.settle(bytes)).toMatchObject({ state: "published" });
        expect(await publish(backend, bytes)).toEqual(first);
        await backend.abort(bytes);
      });
      expect(await read(current().backend, KEY)).toBe("hello");
    });

    /** Four completions of the same staged bytes, by two processes, in the same moment. */
    async function publishAtOnce(round: number) {
      const bytes = await stageAndFill(current(), `race-${round}`, "hello");
      const told = await successor((other) => {
        const four = [current().backend, other, current().backend, other];
        return Promise.allSettled(four.map((one) => publish(one, bytes, round % 2 === 0)));
      });
      const outcomes = told.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
      return { bytes, outcomes, kinds: told.flatMap((one) => (one.status === "rejected" ? [one.reason.kind] : [])) };
    }

    if (properties.conditionalPublish) {
      test("at the same time as the one it succeeds: both end the same", async () => {
        for (let round = 0; round < 20; round++) {
          const { bytes, outcomes, kinds } = await publishAtOnce(round);
          expect(kinds).toEqual([]);
          expect(outcomes.map(({ outcome }) => outcome)).toEqual(outcomes.map(() => "published"));
          expect(new Set(outcomes.map((one) => JSON.stringify(one))).size).toBe(1);
          expect(await current().backend.settle(bytes)).toMatchObject({ state: "published" });
          expect(await read(current().backend, bytes.key)).toBe("hello");
        }
      });
    } else {
      // rclone loses the object in about one of a hundred such moments, and nobody can keep two processes out of one.
      test("at the same time as the one it succeeds: what the store loses then is told, and the next attempt mends it", async () => {
        for (let round = 0; round < 20; round++) {
          const { bytes, outcomes, kinds } = await publishAtOnce(round);
          const content = await read(current().backend, bytes.key).catch(() => null);
          if (content === null) {
            const lost = outcomes.filter(({ outcome }) => outcome === "lost");
            expect(kinds.filter((kind) => kind === "storage.unavailable").length + lost.length).toBeGreaterThan(0);
            await put(current(), bytes.key, "hello");
          } else {
            expect(outcomes.map(({ outcome }) => outcome)).toEqual(outcomes.map(() => "published"));
            expect(await current().backend.settle(bytes)).toMatchObject({ state: "published" });
          }
          expect(await read(current().backend, bytes.key)).toBe("hello");
        }
      });
    }
  });
}
