/** Time-limited URLs under which this service serves an output, or leads to the store that does. */

import type { JobOutput } from "../../src/jobs/store.ts";
import { signDownload } from "../../src/security/signed-urls.ts";
import type { HttpContext } from "../context.ts";
import { API_PREFIX } from "../route-rule.ts";
import type { Download } from "./job-view.ts";

const DOWNLOAD_TTL_MS = 60 * 60 * 1000;

/** Null for what was deleted or lies in a storage that this deployment no longer has. */
export function toDownload(context: HttpContext, output: JobOutput, baseUrl: string): Download | null {
  if (output.deletedAt !== null) return null;
  if (!context.storage.names.includes(output.backend)) return null;
  const expiresAt = new Date(Date.now() + DOWNLOAD_TTL_MS);
  const token = signDownload(context.signingSecret, {
    backend: output.backend,
    key: output.key,
    identity: output.identity,
    expiresAt,
  });
  return { url: `${baseUrl}${API_PREFIX}/files/${token}`, expiresAt };
}
