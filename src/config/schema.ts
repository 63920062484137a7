/** Every name of the configuration in one schema, in the order in which the documentation lists them. */
import { z } from "zod";
import { infoOf, type SettingInfo } from "./setting.ts";
import { databaseSettings, queueSettings, redisSettings, storageSettings } from "./settings/data.ts";
import { httpSettings } from "./settings/http.ts";
import { keysSettings } from "./settings/keys.ts";
import { limitsSettings } from "./settings/limits.ts";
import { processSettings } from "./settings/process.ts";
import { telemetrySettings } from "./settings/telemetry.ts";
import { workerSettings } from "./settings/worker.ts";

export const settingGroups = {
  process: processSettings,
  http: httpSettings,
  keys: keysSettings,
  limits: limitsSettings,
  worker: workerSettings,
  queue: queueSettings,
  database: databaseSettings,
  redis: redisSettings,
  storage: storageSettings,
  telemetry: telemetrySettings,
} as const;

export const configSchema = z.object({
  ...processSettings,
  ...httpSettings,
  ...keysSettings,
  ...limitsSettings,
  ...workerSettings,
  ...queueSettings,
  ...databaseSettings,
  ...redisSettings,
  ...storageSettings,
  ...telemetrySettings,
});

/** Texts by name in, values by name out. */
export type SettingName = keyof z.output<typeof configSchema>;
export type SettingValues = z.output<typeof configSchema>;

export const SETTING_NAMES = Object.keys(configSchema.shape) as readonly SettingName[];

export const isSettingName = (name: string): name is SettingName => Object.hasOwn(configSchema.shape, name);

export const settingInfo = (name: SettingName): SettingInfo => infoOf(configSchema.shape[name]);

export const FILE_SUFFIX = "_FILE";

/** Names that take a secret from a file. */
export const SECRET_FILE_NAMES: readonly string[] = SETTING_NAMES.filter((name) => settingInfo(name).secret).map(
  (name) => `${name}${FILE_SUFFIX}`,
);
