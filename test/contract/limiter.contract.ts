/** What every adapter of the limiter does (src/coordination/ports.ts says why). Windows are whole seconds. */
import { afterEach, describe, expect, test } from "bun:test";
import type { Limiter } from "../../src/coordination/ports.ts";
import { until } from "../support/until.ts";
import { LONG_MS, type MakeSubject, subjects } from "./coordination-subject.ts";

export function limiterContract(name: string, make: MakeSubject<Limiter>): void {
  const { open, closeAll } = subjects(make);

  describe(`Limiter port: ${name}`, () => {
    afterEach(closeAll);

    test("allows as many as the limit, counts down, then refuses", async () => {
      const { port } = await open();
      const decisions = [];
      for (let request = 0; request < 5; request++) decisions.push(await port.consume("a", 3, LONG_MS));
      expect(decisions.map(({ allowed, remaining }) => [allowed, remaining])).toEqual([
        [true, 2],
        [true, 1],
        [true, 0],
        [false, 0],
        [false, 0],
      ]);
      for (const { limit, resetMs } of decisions) {
        expect(limit).toBe(3);
        expect(resetMs).toBeGreaterThan(0);
        expect(resetMs).toBeLessThanOrEqual(LONG_MS);
      }
    });

    test("counts requests of all replicas together, at once too", async () => {
      const { port, peer } = await open();
      const decisions = await Promise.all(
        Array.from({ length: 60 }, (_, index) => (index % 2 === 0 ? port : peer).consume("a", 20, LONG_MS)),
      );
      expect(decisions.filter(({ allowed }) => allowed)).toHaveLength(20);
    });

    test("counts names apart", async () => {
      const { port } = await open();
      expect((await port.consume("a", 1, LONG_MS)).allowed).toBe(true);
      expect((await port.consume("a", 1, LONG_MS)).allowed).toBe(false);
      expect((await port.consume("b", 1, LONG_MS)).allowed).toBe(true);
    });

    test("keeps the count of a name whose limit changes", async () => {
      const { port } = await open();
      for (let request = 0; request < 3; request++) await port.consume("a", 10, LONG_MS);
      expect(await port.consume("a", 2, LONG_MS)).toMatchObject({ allowed: false, limit: 2, remaining: 0 });
      expect(await port.consume("a", 6, LONG_MS)).toMatchObject({ allowed: true, limit: 6, remaining: 1 });
    });

    test("begins a new window when the old one ends, however much was refused meanwhile", async () => {
      const { port } = await open();
      await port.consume("a", 1, 1_000);
      expect((await port.consume("a", 1, 1_000)).allowed).toBe(false);
      const again = await until(
        async () => {
          const decision = await port.consume("a", 1, 1_000);
          return decision.allowed && decision;
        },
        { what: "a new window" },
      );
      expect(again.remaining).toBe(0);
    });
  });
}
