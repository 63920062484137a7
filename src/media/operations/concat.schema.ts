/** `concat`: the files after the input, one behind the other, made equal to how the first is then. */
import { z } from "zod";
import type { Operation } from "./parse.ts";
import { positiveSeconds, reference } from "./scalars.ts";

const INPUTS = "must hold 1 to 99 URIs";

export const concatSchema = z
  .strictObject({
    type: z.literal("concat"),
    inputs: z.array(reference, INPUTS).min(1, INPUTS).max(99, INPUTS).describe("What follows, in this order."),
    transition: z.enum(["none", "fade"], "must be none or fade").default("none"),
    transition_duration: positiveSeconds
      .refine((value) => value <= 30, "must be at most 30 seconds")
      .optional()
      .describe("Of each fade. Default 1 second, or half of the shortest file when that is less."),
  })
  .superRefine(({ transition, transition_duration: duration }, context) => {
    if (transition === "none" && duration !== undefined)
      context.addIssue({ code: "custom", path: ["transition_duration"], message: "is given, but transition is none" });
  });

export type Concat = z.output<typeof concatSchema>;

/** Where the operations begin that see the joined film; 0 when nothing is joined. */
export const afterConcat = (operations: readonly Operation[]): number =>
  operations.findLastIndex(({ type }) => type === "concat") + 1;

export function concatOf(
  operations: readonly Operation[],
): { readonly operation: Concat; readonly index: number } | null {
  const index = afterConcat(operations) - 1;
  const operation = operations[index];
  return operation?.type === "concat" ? { operation, index } : null;
}
