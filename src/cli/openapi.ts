import { apiDocument } from "../boot/api-document.ts";
import type { CommandContext } from "./context.ts";

export function openapiCommand(context: CommandContext): void {
  context.out(JSON.stringify(apiDocument(), null, 2));
}
