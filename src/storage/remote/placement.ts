/**
 * From a backend's key to a bucket's object. A backend either is one bucket (or a prefix in it), or all buckets that its
 * credentials reach: then a key's first part names the bucket. Nothing else decides the bucket, so no key leaves it.
 */
import { RendiffError } from "../../errors.ts";
import { STAGING_PREFIX } from "../key.ts";
import { checkKey } from "../local/places.ts";
import { stagingKey } from "../local/staging.ts";
import type { StagedObject } from "../port.ts";

export interface PlacementOptions {
  /** Null: the first part of each key. */
  readonly bucket: string | null;
  /** Without slashes at its ends; empty for the whole bucket. */
  readonly prefix: string;
}

export interface Place {
  readonly bucket: string;
  readonly object: string;
}

export interface Placement {
  /** Rejects with `request.invalid` what is no key, and a key without a bucket where one is needed. */
  locate(key: string): Place;
  /** Where the staging object `hidden` lies, whose name no client's key may have. */
  locateHidden(key: string, hidden: string): Place;
  /** Where objects below `prefix` lie; `prefix` may end anywhere. Null: nothing can. */
  below(prefix: string): Place | null;
  /** The backend's key of an object in `bucket`; null for what no key can name. */
  keyOf(place: Place): string | null;
}

export const METADATA = { job: "rendiffjob", token: "rendifftoken" } as const;

export type Owner = Pick<StagedObject, "jobId" | "leaseToken">;

export const metadataOf = ({ jobId, leaseToken }: Owner): Record<string, string> => ({
  [METADATA.job]: jobId,
  [METADATA.token]: String(leaseToken),
});

export function isOwnedBy(metadata: Readonly<Record<string, unknown>> | undefined, { jobId, leaseToken }: Owner) {
  return metadata?.[METADATA.job] === jobId && metadata[METADATA.token] === String(leaseToken);
}

export const isHidden = (object: string): boolean =>
  object.split("/").some((name) => name.toLowerCase().startsWith(STAGING_PREFIX));

const noBucket = (): RendiffError =>
  new RendiffError({
    kind: "request.invalid",
    publicMessage: "The storage path names a bucket only: name an object in it, as bucket/key.",
  });

export function makePlacement({ bucket, prefix }: PlacementOptions): Placement {
  const lead = prefix === "" ? "" : `${prefix}/`;
  const place = (key: string): Place => {
    if (bucket !== null) return { bucket, object: lead + key };
    const slash = key.indexOf("/");
    if (slash === -1) throw noBucket();
    return { bucket: key.slice(0, slash), object: lead + key.slice(slash + 1) };
  };
  return {
    locate(key) {
      checkKey(key);
      return place(key);
    },
    locateHidden(key, hidden) {
      checkKey(key);
      return place(hidden);
    },
    below(given) {
      if (/(^|\/)\.\.?(\/|$)/.test(given)) return null;
      if (bucket !== null) return { bucket, object: lead + given };
      const slash = given.indexOf("/");
      if (slash <= 0) throw noBucket();
      return { bucket: given.slice(0, slash), object: lead + given.slice(slash + 1) };
    },
    keyOf(found) {
      if (!found.object.startsWith(lead) || isHidden(found.object)) return null;
      const rest = found.object.slice(lead.length);
      // A "folder" of a web console is an empty object with a slash at its end.
      if (rest === "" || rest.endsWith("/")) return null;
      return bucket === null ? `${found.bucket}/${rest}` : rest;
    },
  };
}

/** The staging object beside `key`, named by whose it is. */
export const hiddenKey = (key: string, owner: Owner): string => stagingKey(key, owner);
