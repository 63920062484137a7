/** Arguments of the operation raw: fixed names, checked values. */
import type { Operation } from "../operations/parse.ts";
import { rawOption } from "../operations/raw.schema.ts";

export const rawArgs = (operations: readonly Operation[], of: "picture" | "sound" | "container"): string[] =>
  operations.flatMap((operation) =>
    operation.type !== "raw"
      ? []
      : operation.options.flatMap(({ name, value }) => {
          const option = rawOption(name);
          return option.of === of ? [option.argument, String(value)] : [];
        }),
  );
