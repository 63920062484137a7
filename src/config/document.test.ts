import { expect, test } from "bun:test";
import { join } from "node:path";
import { configurationMarkdown, envExample } from "./document.ts";
import { parseDotenv } from "./dotenv.ts";
import { loadConfig } from "./load.ts";
import { configSchema, SETTING_NAMES, settingInfo } from "./schema.ts";

const root = join(import.meta.dir, "../..");

test.each([
  ["docs/configuration.md", configurationMarkdown],
  [".env.example", envExample],
])("%s is what the schema says", async (file, make) => {
  expect(await Bun.file(join(root, file)).text()).toBe(make());
});

test("every setting is described, and every default parses", () => {
  const markdown = configurationMarkdown();
  for (const name of SETTING_NAMES) {
    expect(markdown).toContain(`| \`${name}\` |`);
    const { default: text } = settingInfo(name);
    if (text !== null) expect(configSchema.shape[name].safeParse(text).success).toBe(true);
  }
});

test("the example changes nothing as it stands, and every line of it can be uncommented", () => {
  const { values, problems } = parseDotenv(envExample());
  expect(problems).toEqual([]);
  expect(values.size).toBe(0);
  const uncommented = parseDotenv(envExample().replaceAll(/^# ([A-Z0-9_]+=)/gm, "$1"));
  expect(uncommented.problems).toEqual([]);
  expect([...uncommented.values.keys()]).toEqual([...SETTING_NAMES]);
  const nothing = {
    cwd: "/nowhere",
    machine: { cpuCount: 1, memoryBytes: 1e9, isTerminal: false, diskBytes: () => 1e9 },
  };
  expect(loadConfig({ ...nothing, env: Object.fromEntries(uncommented.values) })).toEqual(
    loadConfig({ ...nothing, env: {} }),
  );
});
