/** `/capabilities`. */
import { Elysia } from "elysia";
import { RendiffError } from "../../src/errors.ts";
import { OPERATION_TYPES } from "../../src/media/operations/parse.ts";
import type { Capabilities } from "../../src/media/types.ts";
import { answer } from "../answers.ts";
import type { HttpContext } from "../context.ts";
import { API_PREFIX } from "../route-rule.ts";
import { toSnakeCase } from "../snake-case.ts";

/** Their keys are FFmpeg's own names. */
const FFMPEG_NAMES = ["encoders", "filters", "muxers", "accelerators"];

function toView(context: HttpContext, capabilities: Capabilities) {
  const { storage, config, version } = context;
  return {
    version,
    ...(toSnakeCase(capabilities, FFMPEG_NAMES) as object),
    storage: storage.names.map((name) => {
      const { type, writable } = storage.backend(name).properties;
      return { name, type, writable };
    }),
    operations: [...OPERATION_TYPES],
    limits: toSnakeCase(config.limits),
  };
}

export const capabilities = (context: HttpContext) =>
  new Elysia({ name: "capabilities", prefix: API_PREFIX }).get("/capabilities", () => {
    const known = context.capabilities();
    if (known === null) {
      throw new RendiffError({
        kind: "service.unavailable",
        publicMessage: "No worker has said yet what it can do.",
        retryAfterSeconds: 5,
      });
    }
    return answer(200, toView(context, known));
  });
