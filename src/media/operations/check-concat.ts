/** What of `concat` can be said before the inputs are looked at. */
import type { ErrorDetail } from "../../errors.ts";
import type { AudioChoice, VideoChoice } from "./check-codec.ts";
import { concatOf } from "./concat.schema.ts";
import type { Operation } from "./parse.ts";

/** Why an operation cannot change the first file alone; null when it can. */
function problemBefore(operation: Operation): string | null {
  const { type } = operation;
  if (type === "concat") return "is a second concat; name all files in one";
  const after = "and has to stand behind concat";
  if (type === "thumbnail" || type === "preview" || type === "waveform") return `makes a file of its own ${after}`;
  if (type === "audio" && operation.extract) return `makes a file of its own ${after}`;
  if (type === "audio" && operation.normalize) return `normalizes the sound, which measures all of it, ${after}`;
  if (type === "filter" && operation.name === "stabilize") return `is stabilize, which measures the film, ${after}`;
  if (type === "subtitle" && operation.mode === "embed") return `embeds captions of the whole film ${after}`;
  return null;
}

export function checkConcat(
  operations: readonly Operation[],
  hasPrimary: boolean,
  { video, audio }: { readonly video: VideoChoice; readonly audio: AudioChoice },
  invalid: ErrorDetail[],
): void {
  const found = concatOf(operations);
  if (found === null) return;
  operations.slice(0, found.index).forEach((operation, index) => {
    const message = problemBefore(operation);
    if (message !== null) invalid.push({ path: `operations[${index}].type`, message });
  });
  if (!hasPrimary) return;
  const copied = video === "copy" ? "video_codec" : audio === "copy" ? "audio_codec" : null;
  if (copied === null) return;
  const message = `is concat, which makes all files equal and encodes them, and ${copied} is copy`;
  invalid.push({ path: `operations[${found.index}].type`, message });
}
