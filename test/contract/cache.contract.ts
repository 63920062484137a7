/** What every adapter of the cache does (src/coordination/ports.ts says why). */
import { afterEach, describe, expect, test } from "bun:test";
import type { Cache } from "../../src/coordination/ports.ts";
import { until } from "../support/until.ts";
import { LONG_MS, type MakeSubject, subjects } from "./coordination-subject.ts";

const SHORT_MS = 150;

export function cacheContract(name: string, make: MakeSubject<Cache>): void {
  const { open, closeAll } = subjects(make);

  describe(`Cache port: ${name}`, () => {
    afterEach(closeAll);

    test("what was never set is null", async () => {
      const { port } = await open();
      expect(await port.get("a")).toBeNull();
    });

    test.each([
      ["text", '{"stage":"encoding","progress":12.5}'],
      ["empty text", ""],
      ["text beyond ASCII", "Straße \u{1F3AC} \u0000 \n"],
    ])("%s comes back in every replica", async (_, value) => {
      const { port, peer } = await open();
      await port.set("a", value, LONG_MS);
      expect(await port.get("a")).toBe(value);
      expect(await peer.get("a")).toBe(value);
      expect(await peer.get("b")).toBeNull();
    });

    test("a record comes back whole in every replica, replaces the one before, and vanishes after its time", async () => {
      const { port, peer } = await open();
      expect(await port.getFields("r")).toBeNull();
      await port.setFields("r", { stage: "encoding", eta: "3" }, LONG_MS);
      expect(await peer.getFields("r")).toEqual({ stage: "encoding", eta: "3" });
      await peer.setFields("r", { stage: "verifying" }, SHORT_MS);
      expect(await port.getFields("r")).toEqual({ stage: "verifying" });
      await until(async () => (await port.getFields("r")) === null, { what: "the record to vanish" });
    });

    test("setting again replaces value and time to live", async () => {
      const { port, peer } = await open();
      await port.set("a", "1", SHORT_MS);
      await port.set("clock", "1", SHORT_MS * 2);
      await peer.set("a", "2", LONG_MS);
      await until(async () => (await port.get("clock")) === null, { what: "a later value to vanish" });
      expect(await port.get("a")).toBe("2");
    });

    test("vanishes after its time, read or not", async () => {
      const { port } = await open();
      await port.set("a", "1", SHORT_MS);
      await until(async () => (await port.get("a")) === null, { what: "the value to vanish" });
    });

    test("deleting makes it null, again without effect", async () => {
      const { port, peer } = await open();
      await port.set("a", "1", LONG_MS);
      await peer.delete("a");
      await peer.delete("a");
      expect(await port.get("a")).toBeNull();
    });
  });
}
