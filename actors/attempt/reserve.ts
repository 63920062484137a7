/** Disk space for an attempt, or the reason why it has to wait or cannot be. */
import { RendiffError } from "../../src/errors.ts";
import type { AttemptId, WorkFolders } from "../../src/work-folders/work-folders.ts";
import type { Reservation } from "./scope.ts";

export async function reserve(folders: WorkFolders, attempt: AttemptId, bytes: number): Promise<Reservation> {
  const reservation = await folders.reserve(attempt, bytes);
  if (reservation !== null) return reservation;
  throw new RendiffError({
    kind: "resource.disk",
    retry: "backoff",
    publicMessage: "The worker has not enough free disk space for this job right now.",
    hint: "It is tried again later; the operator can free space or raise TEMP_LIMIT.",
  });
}
