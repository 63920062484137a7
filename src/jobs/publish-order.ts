/** The order in which outputs become visible. */
import type { PublishStep } from "./types.ts";

/** A playlist or manifest names other objects, so a reader who finds it must find them too. */
const LAST: PublishStep["role"] = "manifest";

/** The steps with playlists and manifests last, otherwise as they were. */
export function inPublishingOrder(steps: readonly PublishStep[]): PublishStep[] {
  return [...steps.filter((step) => step.role !== LAST), ...steps.filter((step) => step.role === LAST)];
}

export function isInPublishingOrder(steps: readonly PublishStep[]): boolean {
  return inPublishingOrder(steps).every((step, index) => step === steps[index]);
}
