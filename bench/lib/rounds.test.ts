import { expect, test } from "bun:test";
import { interleave } from "./rounds.ts";

test("every other round runs in the reverse order", async () => {
  const ran: string[] = [];
  const variant = (name: string) => async (round: number) => {
    ran.push(`${name}${round}`);
    return round;
  };
  const options = { roundsMin: 3, roundsMax: 3, budgetMs: 0 };
  const samples = await interleave({ a: variant("a"), b: variant("b"), c: variant("c") }, options);
  expect(ran.join(" ")).toBe("a0 b0 c0 c1 b1 a1 a2 b2 c2");
  expect(samples).toEqual({ a: [0, 1, 2], b: [0, 1, 2], c: [0, 1, 2] });
});

test("rounds end with the budget, but not before the least of them", async () => {
  let clock = 0;
  const tick = async () => {
    clock += 10;
    return clock;
  };
  const run = (budgetMs: number) =>
    interleave({ tick }, { roundsMin: 2, roundsMax: 5, budgetMs, now: () => clock }).then(
      ({ tick: all }) => all.length,
    );
  expect(await run(0)).toBe(2);
  expect(await run(35)).toBe(4);
  expect(await run(1_000)).toBe(5);
});
