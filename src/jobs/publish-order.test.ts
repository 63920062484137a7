import { expect, test } from "bun:test";
import { inPublishingOrder, isInPublishingOrder } from "./publish-order.ts";
import type { PublishStep } from "./types.ts";

test("what names other objects comes after them, and nothing else moves", () => {
  const steps = (["manifest", "segment", "manifest", "thumbnail"] as const).map(
    (role, ordinal) => ({ role, ordinal }) as PublishStep,
  );
  expect(isInPublishingOrder(steps)).toBe(false);
  const ordered = inPublishingOrder(steps);
  expect(ordered.map((step) => step.ordinal)).toEqual([1, 3, 0, 2]);
  expect(isInPublishingOrder(ordered)).toBe(true);
});
