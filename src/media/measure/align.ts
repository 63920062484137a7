/**
 * How two pictures are laid over each other before they are compared: both begin at zero, and the distorted one takes the
 * rate, the size and the samples of the reference. What is equal already is not touched, so that scores are to the last
 * digit what FFmpeg's own command line gives.
 */
import { type Filter, filter } from "../filtergraph.ts";
import type { VideoStream } from "../types.ts";

/** Sample layouts that PSNR, SSIM and libvmaf all take. */
const COMPARABLE = /^yuvj?4(20|22|44)p(10le|12le)?$/;
const RATE_TOLERANCE = 0.001;

const rateOf = ({ averageFps, nominalFps }: VideoStream): number | null => averageFps ?? nominalFps;

/** Layout for both; null leaves a reference as it is. */
function layoutOf({ pixelFormat, bitDepth }: VideoStream): string | null {
  if (pixelFormat !== null && COMPARABLE.test(pixelFormat)) return null;
  return bitDepth > 8 ? "yuv444p10le" : "yuv444p";
}

function matched(distorted: VideoStream, reference: VideoStream, layout: string | null): Filter[] {
  const filters: Filter[] = [];
  const wanted = rateOf(reference);
  const found = rateOf(distorted);
  const differs = wanted !== null && (found === null || Math.abs(found - wanted) > wanted * RATE_TOLERANCE);
  if (differs) filters.push(filter("fps", { fps: wanted }));
  if (distorted.width !== reference.width || distorted.height !== reference.height)
    filters.push(filter("scale", { w: reference.width, h: reference.height, flags: "bicubic" }));
  const format = layout ?? reference.pixelFormat;
  if (format !== null && format !== distorted.pixelFormat) filters.push(filter("format", { pix_fmts: format }));
  return filters;
}

export interface Aligned {
  readonly distorted: readonly Filter[];
  readonly reference: readonly Filter[];
}

export function align(distorted: VideoStream, reference: VideoStream): Aligned {
  const zero = filter("setpts", { expr: "PTS-STARTPTS" });
  const layout = layoutOf(reference);
  return {
    distorted: [zero, ...matched(distorted, reference, layout)],
    reference: layout === null ? [zero] : [zero, filter("format", { pix_fmts: layout })],
  };
}
