/** Which way the main picture goes into an output, and what of it can be compared with what is made of it. */
import type { VideoStream } from "../types.ts";
import type { GivenPicture, SampledPicture } from "./output.ts";
import type { Window } from "./timeline.ts";
import { comparedChains, comparedVideo, type EncodedVideo, encodedVideoArgs } from "./video-part.ts";

export type Picture =
  | { readonly kind: "none" }
  | { readonly kind: "copy"; readonly video: VideoStream; readonly further: readonly VideoStream[] }
  | { readonly kind: "encode"; readonly part: EncodedVideo };

export function videoStreamsOf(picture: Picture): number {
  if (picture.kind === "none") return 0;
  return picture.kind === "copy" ? 1 + picture.further.length : 1;
}

/** Nothing of a copy that is trimmed, whose first frame is another, and of GIF, whose frames last as long as they like. */
export function givenOf(picture: Picture, trimmed: boolean): { given?: GivenPicture } {
  if (picture.kind === "none") return {};
  const films = videoStreamsOf(picture);
  if (picture.kind === "copy") {
    if (trimmed) return {};
    const { video } = picture;
    return { given: { video: { ...video, index: 0 }, films, pad: `0:${video.index}`, heldBytes: 0, chains: () => [] } };
  }
  const { part } = picture;
  const { encoder } = part.encode;
  if (part.still || encoder.codec === "gif" || encoder.codec === "webp") return {};
  const given = (one: EncodedVideo): GivenPicture => ({
    video: comparedVideo(one),
    ...{ films, pad: `v${one.id}`, heldBytes: one.picture.heldBytes },
    chains: (graph) => comparedChains(one, graph),
    crf: part.encode.settings.crf === null || part.encode.hardware !== undefined ? null : encoder.crf,
  });
  const sampled = (window: Window): SampledPicture => {
    const one = { ...part, window };
    return { ...given(one), encode: (graph) => encodedVideoArgs(one, graph, null) };
  };
  return { given: { ...given(part), sampled } };
}
