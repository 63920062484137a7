/** What every adapter of the locks does (src/coordination/ports.ts says why). */
import { afterEach, describe, expect, test } from "bun:test";
import type { Locks } from "../../src/coordination/ports.ts";
import { until } from "../support/until.ts";
import { LONG_MS, type MakeSubject, subjects } from "./coordination-subject.ts";

const SHORT_MS = 150;

export function locksContract(name: string, make: MakeSubject<Locks>): void {
  const { open, closeAll } = subjects(make);

  describe(`Locks port: ${name}`, () => {
    afterEach(closeAll);

    test("a free lock is acquired, and its holder is known everywhere", async () => {
      const { port, peer } = await open();
      expect(await port.holder("a")).toBeNull();
      expect(await port.acquire("a", "w1:1", LONG_MS)).toBe(true);
      expect(await peer.holder("a")).toBe("w1:1");
      expect(await port.holder("b")).toBeNull();
    });

    test("a held lock is refused to another value and keeps its own", async () => {
      const { port, peer } = await open();
      await port.acquire("a", "w1:1", LONG_MS);
      expect(await peer.acquire("a", "w2:1", LONG_MS)).toBe(false);
      expect(await port.holder("a")).toBe("w1:1");
    });

    test("of many who try at once one gets it", async () => {
      const { port, peer } = await open();
      const tries = Array.from({ length: 20 }, (_, index) =>
        (index % 2 === 0 ? port : peer).acquire("a", `w${index}`, LONG_MS),
      );
      const results = await Promise.all(tries);
      expect(results.filter(Boolean)).toHaveLength(1);
      expect(await port.holder("a")).toBe(`w${results.indexOf(true)}`);
    });

    test("acquiring again with the same value succeeds and sets the time to live anew", async () => {
      const { port } = await open();
      await port.acquire("a", "w1:1", SHORT_MS);
      await port.acquire("clock", "w1:1", SHORT_MS * 2);
      expect(await port.acquire("a", "w1:1", LONG_MS)).toBe(true);
      await until(async () => (await port.holder("clock")) === null, { what: "a later lock to end" });
      expect(await port.holder("a")).toBe("w1:1");
    });

    test("ends by itself and is then free for others", async () => {
      const { port, peer } = await open();
      await port.acquire("a", "w1:1", SHORT_MS);
      await until(async () => (await peer.holder("a")) === null, { what: "the lock to end" });
      expect(await port.renew("a", "w1:1", LONG_MS)).toBe(false);
      expect(await port.release("a", "w1:1")).toBe(false);
      expect(await peer.acquire("a", "w2:1", LONG_MS)).toBe(true);
    });

    test("renewing its own value extends it", async () => {
      const { port } = await open();
      await port.acquire("a", "w1:1", SHORT_MS);
      await port.acquire("clock", "w1:1", SHORT_MS * 2);
      expect(await port.renew("a", "w1:1", LONG_MS)).toBe(true);
      await until(async () => (await port.holder("clock")) === null, { what: "a later lock to end" });
      expect(await port.holder("a")).toBe("w1:1");
    });

    test("renewing another's or a free lock changes nothing", async () => {
      const { port, peer } = await open();
      await port.acquire("a", "w1:1", SHORT_MS);
      expect(await peer.renew("a", "w1:2", LONG_MS)).toBe(false);
      expect(await peer.renew("free", "w1:1", LONG_MS)).toBe(false);
      expect(await port.holder("free")).toBeNull();
      await until(async () => (await port.holder("a")) === null, { what: "the lock to end in its own time" });
    });

    test("is released only by its own value, once", async () => {
      const { port, peer } = await open();
      await port.acquire("a", "w1:1", LONG_MS);
      expect(await peer.release("a", "w1:2")).toBe(false);
      expect(await port.holder("a")).toBe("w1:1");
      expect(await peer.release("a", "w1:1")).toBe(true);
      expect(await port.release("a", "w1:1")).toBe(false);
      expect(await port.holder("a")).toBeNull();
      expect(await port.acquire("a", "w2:1", LONG_MS)).toBe(true);
    });
  });
}
