/** Time-limited URLs under which this service serves a local output. */

import type { JobOutput } from "../../src/jobs/store.ts";
import { signDownload } from "../../src/security/signed-urls.ts";
import type { HttpContext } from "../context.ts";
import { API_PREFIX } from "../route-rule.ts";
import type { Download } from "./job-view.ts";

const DOWNLOAD_TTL_MS = 60 * 60 * 1000;

/** Null for what was deleted or lies where it cannot be served from. */
export function toDownload(context: HttpContext, output: JobOutput, baseUrl: string): Download | null {
  if (output.deletedAt !== null) return null;
  if (!context.storage.names.includes(output.backend)) return null;
  if (!context.storage.backend(output.backend).properties.inPlace) return null;
  const expiresAt = new Date(Date.now() + DOWNLOAD_TTL_MS);
  const token = signDownload(context.signingSecret, {
    backend: output.backend,
    key: output.key,
    identity: output.identity,
    expiresAt,
  });
  return { url: `${baseUrl}${API_PREFIX}/files/${token}`, expiresAt };
}
