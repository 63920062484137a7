/** The properties a key has, as the API and the command line take them. */
import { z } from "zod";
import { ROLES } from "./roles.ts";

const NAME_LENGTH_MAX = 100;
const LIST_MAX = 100;
/** Names that mark keys which the service itself keeps. */
export const RESERVED_KEY_NAMES = ["bootstrap", "local"] as const;

const nameList = z.array(z.string().min(1).max(63)).max(LIST_MAX).nullable();

export const keyPropertiesSchema = z.strictObject({
  name: z
    .string()
    .trim()
    .min(1, "must not be empty")
    .max(NAME_LENGTH_MAX, `must have at most ${NAME_LENGTH_MAX} characters`)
    .refine((name) => !/\p{C}/u.test(name), "must not hold control characters")
    .refine((name) => !(RESERVED_KEY_NAMES as readonly string[]).includes(name), "is kept for the service's own keys")
    .describe("What people call the key."),
  role: z.enum(ROLES).default("user").describe("readonly reads, user also creates jobs, admin also administers."),
  allowed_operations: nameList.default(null).describe("Operation types this key may use; null allows all."),
  read_backends: nameList.default(null).describe("Storage backends it may read from; null allows all."),
  write_backends: nameList.default(null).describe("Storage backends it may write to; null allows all."),
  rate_limit: z
    .int()
    .min(1)
    .max(1_000_000)
    .nullable()
    .default(null)
    .describe("Requests a minute for each endpoint; null takes the deployment's default."),
  max_concurrent_jobs: z
    .int()
    .min(1)
    .max(10_000)
    .nullable()
    .default(null)
    .describe("Jobs running at once; further ones wait their turn."),
  weight: z.number().min(0.001).max(1000).default(1).describe("Its share of the workers."),
  monthly_limit_minutes: z
    .int()
    .min(1)
    .max(100_000_000)
    .nullable()
    .default(null)
    .describe("Minutes of output media in a calendar month."),
  expires_at: z.iso.datetime({ offset: true }).nullable().default(null).describe("When it stops working."),
});

export type KeyPropertiesInput = z.input<typeof keyPropertiesSchema>;
export type KeyProperties = z.output<typeof keyPropertiesSchema>;
