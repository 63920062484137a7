/** The key of an encrypted package: this attempt's own, made before anything is packaged. */
import { RendiffError } from "../../../src/errors.ts";
import type { JobId } from "../../../src/jobs/types.ts";
import type { Plan } from "../../../src/media/types.ts";
import type { ContentKey } from "../attempt.types.ts";
import type { AttemptPorts } from "../ports.ts";

/** AES-128. */
const KEY_BYTES = 16;

/** Null where nothing is encrypted. At the client's URI the key becomes one more output, else this server serves it. */
export async function contentKeyOf(
  { keepKey }: AttemptPorts,
  jobId: JobId,
  { package: packaged }: Plan,
): Promise<ContentKey | null> {
  if (packaged === undefined || packaged.encryption === "none") return null;
  const bytes = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
  if (packaged.keyUri !== null) return { bytes, uri: packaged.keyUri };
  if (keepKey === null || packaged.keyBase === null) {
    throw new RendiffError({
      kind: "plan.unsupported",
      publicMessage: "Nobody serves keys here; give key_uri, what players will fetch the key from.",
    });
  }
  return { bytes, uri: `${packaged.keyBase}${await keepKey(jobId, bytes)}` };
}
