/** What a client sends over `/ws`. */
import { z } from "zod";
import { isStorableText } from "../body.ts";
import type { ClientCommand } from "./socket.ts";

const jobId = z.string().min(1).max(64).refine(isStorableText);
const after = z.int().min(0).max(Number.MAX_SAFE_INTEGER);

const commandSchema = z.union([
  z.strictObject({ subscribe: jobId, after: after.default(0) }),
  z.strictObject({ unsubscribe: jobId }),
]);

export function parseCommand(message: string | Buffer): ClientCommand {
  let value: unknown;
  try {
    value = JSON.parse(message.toString());
  } catch {
    return { error: "The message is not JSON." };
  }
  const result = commandSchema.safeParse(value);
  if (result.success) return result.data;
  return { error: 'The message must be {"subscribe": id, "after": seq} or {"unsubscribe": id}.' };
}
