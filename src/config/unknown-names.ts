/**
 * Names in the environment that were surely meant for us and say nothing: a mistyped limit that is silently ignored is a
 * limit that is not there. Everything else in the environment is somebody else's.
 */
import { distance, nearestName } from "../validation/nearest.ts";
import type { ConfigProblem } from "./config-error.ts";
import { FILE_SUFFIX, isSettingName, SECRET_FILE_NAMES, SETTING_NAMES } from "./schema.ts";

/** Beginnings that only our names should have where Rendiff runs. */
const FAMILIES = ["RENDIFF_", "S3_", "REDIS_", "DATABASE_", "STORAGE_", "RETENTION_", "WORKER_", "METRICS_", "GCS_"];

/** Kubernetes and Docker links describe every neighbouring service, one named `redis` or `rendiff` too. */
const SERVICE_LINK = /_SERVICE_HOST$|_SERVICE_PORT(_[A-Z0-9_]+)?$|_PORT_\d+_(TCP|UDP)(_(ADDR|PORT|PROTO))?$|_ENV_[A-Z]/;
const SERVICE_LINK_VALUE = /^(tcp|udp):\/\//;

/** Near to one of our names, and known to be another program's. */
const FOREIGN = new Set(["APP_HOST", "APP_PORT"]);

export function findUnknownNames(given: ReadonlyMap<string, string>): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  for (const [name, value] of given) {
    if (isSettingName(name) || SECRET_FILE_NAMES.includes(name)) continue;
    if (SERVICE_LINK.test(name) || SERVICE_LINK_VALUE.test(value) || FOREIGN.has(name)) continue;
    const message = describe(name);
    if (message !== null) problems.push({ name, message });
  }
  return problems;
}

function describe(name: string): string | null {
  const base = name.endsWith(FILE_SUFFIX) ? name.slice(0, -FILE_SUFFIX.length) : null;
  if (base !== null && isSettingName(base)) {
    return `is not read: only secrets can be given as a file, and ${base} is none`;
  }
  const ours = FAMILIES.some((family) => name.startsWith(family));
  const near = nearestName(name, ours ? OUR_NAMES : OUR_NAMES.filter((known) => hasNearLength(name, known)));
  if (near !== null && (ours || isTypingError(name, near))) return `is no setting; did you mean ${near}?`;
  return ours ? "is no setting" : null;
}

const OUR_NAMES = [...SETTING_NAMES, ...SECRET_FILE_NAMES];
/** Of a typing error in a name that is not surely ours. */
const SLIPS_MAX = 2;

/** An environment has dozens of names of others: comparing each with each took a fifth of a start. */
const hasNearLength = (name: string, known: string): boolean => Math.abs(name.length - known.length) <= SLIPS_MAX;

/**
 * Stricter than "near", since most of an environment is not ours: the other case, or a dash, or one slip (two in long
 * names). Short names have too many neighbours to guess at.
 */
function isTypingError(name: string, near: string): boolean {
  if (name.toUpperCase().replaceAll("-", "_") === near) return true;
  if (near.length < 7 || !/^[A-Z][A-Z0-9_-]*$/.test(name)) return false;
  return distance(name, near) <= (near.length < 12 ? 1 : SLIPS_MAX);
}
