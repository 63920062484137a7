import { ENVIRONMENTS, LOG_FORMATS, LOG_LEVELS, ROLES } from "../config.ts";
import { duration, oneOf, path } from "../kinds.ts";
import { optional, setting } from "../setting.ts";

export const processSettings = {
  RENDIFF_ENV: setting(oneOf(ENVIRONMENTS), {
    default: "development",
    meaning: "which deployment this is; also chooses the file `.env.{RENDIFF_ENV}`",
  }),
  RENDIFF_ROLE: setting(oneOf(ROLES), {
    default: "combined",
    meaning: "what this process does: answer requests, run jobs, or both; `serve --role` wins",
  }),
  DATA_DIR: setting(path, { default: "./data", meaning: "embedded database, first admin key, caches" }),
  LOG_LEVEL: setting(oneOf(LOG_LEVELS), { default: "info", meaning: "the least that is logged" }),
  LOG_FORMAT: optional(oneOf(LOG_FORMATS), {
    without: "json (pretty on a terminal)",
    meaning: "JSON lines, or lines for people",
  }),
  DRAIN_DELAY: setting(duration("0", "10m"), {
    default: "5s",
    meaning: "how long requests are still served after SIGTERM while `/health/ready` says no",
  }),
  DRAIN_TIMEOUT: setting(duration("0", "24h"), {
    default: "10m",
    meaning: "how long running attempts may finish after SIGTERM before they are put back",
  }),
};
