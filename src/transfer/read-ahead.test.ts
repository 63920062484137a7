import { describe, expect, test } from "bun:test";
import { setImmediate as turn } from "node:timers/promises";
import { readAhead } from "./read-ahead.ts";

const PART_BYTES = 100;

/** Parts that carry their number, and how many of them were asked for. */
function makeSource(count: number, problem?: Error) {
  const source = { asked: 0, closed: false };
  async function* parts(): AsyncGenerator<Uint8Array> {
    try {
      for (let number = 0; number < count; number++) {
        source.asked += 1;
        await turn();
        yield new Uint8Array(PART_BYTES).fill(number);
      }
      if (problem !== undefined) throw problem;
    } finally {
      source.closed = true;
    }
  }
  return { source, parts: parts() };
}

/** Long enough for all that needs no reader. */
async function turns(): Promise<void> {
  for (let count = 0; count < 100; count++) await turn();
}

const numbersOf = async (parts: AsyncIterable<Uint8Array>): Promise<(number | undefined)[]> =>
  (await Array.fromAsync(parts)).map((part) => part[0]);

describe("reading ahead", () => {
  test("gives all parts in their order, to a slow reader too", async () => {
    const { parts } = makeSource(20);
    const seen: (number | undefined)[] = [];
    for await (const part of readAhead(parts, 3 * PART_BYTES, new AbortController().signal)) {
      seen.push(part[0]);
      if (seen.length % 5 === 0) await turns();
    }
    expect(seen).toEqual(Array.from({ length: 20 }, (_, number) => number));
  });

  test("begins before anybody reads, and holds no more than it may", async () => {
    const { source, parts } = makeSource(20);
    const ahead = readAhead(parts, 3 * PART_BYTES, new AbortController().signal);
    await turns();
    expect(source.asked).toBe(3);
    expect(await numbersOf(ahead)).toHaveLength(20);
  });

  test("tells what went wrong after what came before it", async () => {
    const { parts } = makeSource(4, new Error("cut"));
    const ahead = readAhead(parts, 100 * PART_BYTES, new AbortController().signal);
    await turns();
    const seen: Uint8Array[] = [];
    const read = async (): Promise<void> => {
      for await (const part of ahead) seen.push(part);
    };
    await expect(read()).rejects.toThrow("cut");
    expect(seen).toHaveLength(4);
  });

  test.each(["the reader ends", "the signal aborts", "the signal aborts and nobody reads"])(
    "ends when %s",
    async (how) => {
      const { source, parts } = makeSource(20);
      const stop = new AbortController();
      const ahead = readAhead(parts, 3 * PART_BYTES, stop.signal);
      if (how !== "the signal aborts and nobody reads") await ahead.next();
      await turns();
      if (how === "the reader ends") await ahead.return(undefined);
      else stop.abort(new Error("enough"));
      await turns();
      expect(source.closed).toBe(true);
      expect(source.asked).toBeLessThanOrEqual(5);
      if (how !== "the reader ends") await expect(numbersOf(ahead)).rejects.toThrow("enough");
    },
  );
});
