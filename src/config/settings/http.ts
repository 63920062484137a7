import { bool, bytes, host, httpUrl, integer, networks, origins } from "../kinds.ts";
import { optional, setting } from "../setting.ts";

export const httpSettings = {
  API_HOST: setting(host, { default: "127.0.0.1", meaning: "the address to listen on (0.0.0.0 in the image)" }),
  API_PORT: setting(integer({ min: 0, max: 65_535 }), {
    default: "8000",
    meaning: "the port to listen on; 0 takes any free one",
  }),
  PUBLIC_URL: optional(httpUrl, { without: "from the request", meaning: "what links in answers begin with" }),
  TRUSTED_PROXIES: setting(networks, {
    default: "none",
    meaning: "networks of proxies whose `X-Forwarded-For` counts",
  }),
  IP_ALLOW_LIST: setting(networks, { default: "all", meaning: "networks that may call at all" }),
  CORS_ORIGINS: setting(origins, { default: "none", meaning: "origins whose pages may call from a browser" }),
  METRICS_ALLOW: setting(networks, {
    default: "loopback, private",
    meaning: "networks that may read `/metrics`",
  }),
  METRICS_PORT: optional(integer({ min: 1, max: 65_535 }), {
    without: "same port",
    meaning: "a port of its own for `/metrics`",
  }),
  BODY_LIMIT: setting(bytes("1KiB"), { default: "1MiB", meaning: "the largest JSON body" }),
  UPLOAD_LIMIT: optional(bytes("1B"), { without: "MAX_INPUT_SIZE", meaning: "the largest upload" }),
  DOCS: setting(bool, { default: "true", meaning: "serves `/docs`" }),
};
