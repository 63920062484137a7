import { bool, perMinute, secrets, text } from "../kinds.ts";
import { optional, setting } from "../setting.ts";

export const keysSettings = {
  ENABLE_API_KEYS: setting(bool, {
    default: "true",
    meaning:
      "false: every caller is one local admin; only with a loopback API_HOST, and for localhost or the host of `PUBLIC_URL`",
  }),
  ADMIN_API_KEYS: optional(secrets(16), {
    without: "the first start makes one key in `DATA_DIR/admin-key`",
    meaning: "bootstrap admin keys, any strings of 16 or more characters",
    secret: true,
  }),
  SIGNING_SECRET: optional(text("32 or more characters", /^.{32,}$/s), {
    without: "made once, kept in the database",
    meaning: "signs tokens and URLs; 32 or more characters",
    secret: true,
  }),
  RATE_LIMIT: setting(perMinute, { default: "600/min", meaning: "requests per key and endpoint" }),
  ADDRESS_RATE_LIMIT: setting(perMinute, {
    default: "1200/min",
    meaning: "requests per client address, before a key is looked at",
  }),
};
