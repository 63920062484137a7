/**
 * Where texts come from: overrides over the environment over `.env.{RENDIFF_ENV}` over `.env`. RENDIFF_ENV chooses the
 * second file, never NODE_ENV, which bundlers and test runners set for their own purposes.
 *
 * An empty text counts as "not given" and still covers the sources below it: `DATABASE_URL= rendiff serve` takes the
 * default. NAME and NAME_FILE are one name here: the higher source wins, both in one source is a problem.
 */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { ConfigProblem } from "./config-error.ts";
import { parseDotenv } from "./dotenv.ts";
import { FILE_SUFFIX, isSettingName, SECRET_FILE_NAMES, SETTING_NAMES, type SettingName } from "./schema.ts";

type Texts = ReadonlyMap<string, string>;

export interface Sources {
  /** What is left to be parsed: settings only, not empty, secrets read from their files. */
  readonly given: Partial<Record<SettingName, string>>;
  /** Every name of every source, ours or not. */
  readonly everything: Texts;
  readonly problems: readonly ConfigProblem[];
}

export interface SourceOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly overrides: Readonly<Record<string, string | undefined>>;
}

export function readSources({ env, cwd, overrides }: SourceOptions): Sources {
  const problems: ConfigProblem[] = [];
  const top = [toTexts(overrides), toTexts(env)];
  const base = readDotenv(cwd, ".env", problems);
  const chosen = [...top, base].find((texts) => texts.has("RENDIFF_ENV"))?.get("RENDIFF_ENV") || "development";
  const layers = [...top];
  // What is no plain word is no environment: the schema says so, and no file is named after it.
  if (/^[a-z]+$/.test(chosen)) {
    const file = `.env.${chosen}`;
    const texts = readDotenv(cwd, file, problems);
    if ((texts.get("RENDIFF_ENV") ?? chosen) !== chosen) {
      problems.push({ name: file, message: "names another RENDIFF_ENV than the one that chose this file" });
    }
    layers.push(texts);
  }
  layers.push(base);
  const given: Partial<Record<SettingName, string>> = {};
  for (const name of SETTING_NAMES) {
    const text = pick(name, layers, cwd, problems);
    if (text !== null) given[name] = text;
  }
  const everything = new Map(layers.toReversed().flatMap((texts) => [...texts]));
  return { given, everything, problems };
}

function toTexts(record: Readonly<Record<string, string | undefined>>): Texts {
  return new Map(Object.entries(record).flatMap(([name, text]) => (text === undefined ? [] : [[name, text] as const])));
}

function readDotenv(cwd: string, file: string, problems: ConfigProblem[]): Texts {
  const content = readText(resolve(cwd, file));
  if (typeof content !== "string") {
    if (content.code !== "ENOENT") problems.push({ name: file, message: `cannot be read (${content.code})` });
    return new Map();
  }
  const parsed = parseDotenv(content);
  problems.push(...parsed.problems.map(({ line, message }) => ({ name: `${file}:${line}`, message })));
  return parsed.values;
}

function pick(name: SettingName, layers: readonly Texts[], cwd: string, problems: ConfigProblem[]): string | null {
  const fileName = `${name}${FILE_SUFFIX}`;
  const asFile = SECRET_FILE_NAMES.includes(fileName) && !isSettingName(fileName);
  const layer = layers.find((texts) => texts.has(name) || (asFile && texts.has(fileName)));
  const text = layer?.get(name)?.trim() || null;
  const path = (asFile && layer?.get(fileName)?.trim()) || null;
  if (path === null) return text;
  if (text !== null) {
    problems.push({ name: fileName, message: `and ${name} are both given; leave one of them out` });
    return text;
  }
  return readSecret(fileName, resolve(cwd, path), problems);
}

function readSecret(fileName: string, path: string, problems: ConfigProblem[]): string | null {
  const content = readText(path);
  if (typeof content !== "string") {
    problems.push({ name: fileName, message: `names a file that cannot be read (${content.code}): ${path}` });
    return null;
  }
  if (content.trim() !== "") return content.trim();
  problems.push({ name: fileName, message: `names an empty file: ${path}` });
  return null;
}

function readText(path: string): string | { readonly code: string } {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    return { code: (error as NodeJS.ErrnoException).code ?? "unknown" };
  }
}
