/** What of `raw` can be said before the input is looked at. */
import type { ErrorDetail } from "../../errors.ts";
import type { MediaLimits } from "../types.ts";
import type { AudioChoice, VideoChoice } from "./check-codec.ts";
import type { Operation } from "./parse.ts";
import { rawOption } from "./raw.schema.ts";
import type { Shape } from "./shape.ts";

interface Found {
  readonly invalid: ErrorDetail[];
  readonly unsupported: ErrorDetail[];
}

export function checkRawAllowed(operations: readonly Operation[], limits: MediaLimits, { unsupported }: Found): void {
  operations.forEach(({ type }, index) => {
    if (type !== "raw" || limits.allowRawOptions === true) return;
    unsupported.push({ path: `operations[${index}].type`, message: "raw is switched off here (ALLOW_RAW_OPTIONS)" });
  });
}

/** A codec has to be named for an option of its encoder, so that the option never lands in another. */
export function checkRaw(
  operations: readonly Operation[],
  { container, hasPrimary }: Shape,
  choices: { readonly video: VideoChoice; readonly audio: AudioChoice },
  { invalid }: Found,
): void {
  operations.forEach((operation, index) => {
    if (operation.type !== "raw") return;
    operation.options.forEach(({ name }, n) => {
      const { of, only } = rawOption(name);
      const chosen = of === "container" ? container.name : of === "picture" ? choices.video : choices.audio;
      const what = of === "container" ? "the container" : of === "picture" ? "video_codec" : "audio_codec";
      const report = (message: string) => invalid.push({ path: `operations[${index}].options[${n}].name`, message });
      if (!hasPrimary) report(`is ${name}, but there is no main output that it could be for`);
      else if (chosen === null || chosen === "copy" || chosen === "none")
        report(`is ${name}, which needs a transcode with a ${what} that encodes`);
      else if (only !== undefined && !only.includes(chosen))
        report(`is ${name}, which is for ${only.join(", ")}, and ${what} is ${chosen}`);
    });
  });
}
