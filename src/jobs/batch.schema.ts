/** The body of `POST /batch`: what each item holds is its own type's to check. */
import { z } from "zod";
import { webhookUrlField } from "../webhooks/webhook.schema.ts";
import { clientMetadata } from "./convert.schema.ts";

export const BATCH_ITEMS_MAX = 100;
export const BATCH_MODES = ["partial", "atomic"] as const;
export type BatchMode = (typeof BATCH_MODES)[number];
export const BATCH_ITEM_TYPES = ["convert", "stream"] as const;
export type BatchItemType = (typeof BATCH_ITEM_TYPES)[number];

export const batchBodySchema = z.strictObject({
  items: z
    .array(
      z.looseObject({
        type: z.enum(BATCH_ITEM_TYPES).describe("Beside it stands the body that this type's own route takes."),
      }),
    )
    .min(1)
    .max(BATCH_ITEMS_MAX),
  mode: z
    .enum(BATCH_MODES)
    .default("partial")
    .describe("partial: what is wrong is in rejected and the rest runs. atomic: all or nothing."),
  webhook_url: webhookUrlField.describe("Told once, with batch.completed, when the last job has ended."),
  metadata: clientMetadata.default({}),
});
export type BatchBody = z.output<typeof batchBodySchema>;
