/** The rule of `/capabilities`. */
import { z } from "zod";
import type { RouteRule } from "../route-rule.ts";

const ability = z.looseObject({ ok: z.boolean(), reason: z.string().optional() });
const abilities = z.record(z.string(), ability);

export const capabilitiesSchema = z.strictObject({
  version: z.string(),
  ffmpeg_version: z.string(),
  ffmpeg_major: z.int(),
  ffprobe_version: z.string(),
  encoders: abilities,
  decoders: z.array(z.string()),
  filters: abilities,
  muxers: abilities,
  demuxers: z.array(z.string()),
  accelerators: abilities,
  sandbox: ability,
  packager: ability.optional(),
  vmaf: ability.optional(),
  input_formats: z.array(z.string()),
  storage: z.array(z.strictObject({ name: z.string(), type: z.string(), writable: z.boolean() })),
  operations: z.array(z.string()),
  limits: z.record(z.string(), z.union([z.number(), z.boolean()])),
});

export const capabilitiesRoutes: readonly RouteRule[] = [
  {
    at: "api",
    tag: "System",
    id: "capabilities",
    method: "GET",
    path: "/capabilities",
    access: "readonly",
    summary: "What this deployment can really do",
    description: "Each codec, filter, container and accelerator was exercised, with the reason where it cannot.",
    answers: { 200: { description: "What it can do.", schema: capabilitiesSchema } },
  },
];
