/** What holds for every document, without running it. */
import { beforeAll, describe, expect, test } from "bun:test";
import { ERROR_CODES } from "../../plugins/errors.ts";
import { makeProgram } from "../../src/cli/program.ts";
import { SECRET_FILE_NAMES, SETTING_NAMES } from "../../src/config/schema.ts";
import { type Block, blocksOf, documentBlocks, ROOT, readDocument, where } from "./blocks.ts";
import { DOCUMENTS, isRunElsewhere, isRunHere } from "./documents.ts";
import { brokenLinks } from "./links.ts";
import { NO_RUN_REASONS, WORDS } from "./reasons.ts";

const LANGUAGES = ["sh", "ts", "python", "json", "yaml", "text", ""];
/** Those that a session runs; the others are compared or only read. */
const RUN_LANGUAGES = ["sh", "ts", "python", "json"];

/** What looks like a setting and is none: variables of the examples' own. */
const OTHER_NAMES = new Set([
  ...["WEBHOOK_SECRET", "KEY_ID", "MINIO_KEY", "MINIO_SECRET", "API_PRT"],
  // Of the compose file and of the image's build.
  ...["ACME_EMAIL", "ALLOW_LIST", "BASE_IMAGE", "BUN_IMAGE", "DEBIAN_MIRROR", "NPM_CONFIG_REGISTRY", "PIP_INDEX_URL"],
]);

const documents = ["*.md", "docs/**/*.md", "deploy/**/*.md", "k8s/**/*.md"]
  .flatMap((glob) => [...new Bun.Glob(glob).scanSync(ROOT)])
  .sort();
let blocks: Block[] = [];

beforeAll(async () => {
  blocks = (await Promise.all(documents.map(documentBlocks))).flat();
});

describe("documents", () => {
  test("each is known, and run by a test that is there", async () => {
    const unknown = documents.filter((document) => !DOCUMENTS.some(({ files }) => files.test(document)));
    expect(unknown).toEqual([]);
    for (const document of documents.filter(isRunHere)) {
      const { run = "" } = DOCUMENTS.find(({ files }) => files.test(document)) ?? {};
      expect(await Bun.file(`${ROOT}/${run}`).text()).toContain(document);
    }
    const rest = documents.filter((document) => !isRunHere(document) && !isRunElsewhere(document));
    const toRun = blocks.filter(
      ({ document, language }) => rest.includes(document) && RUN_LANGUAGES.includes(language),
    );
    expect(toRun.map(where)).toEqual([]);
  });

  test("every link leads to a file and a heading that are there", async () => {
    const broken = await Promise.all(documents.map(async (one) => brokenLinks(one, await readDocument(one))));
    expect(broken.flat()).toEqual([]);
  });

  test("a link that leads nowhere is found", async () => {
    const text =
      "[a](nowhere.md) [b](README.md#no-such) `[c](in-code.md)`\n```\n[d](in-block.md)\n```\n[e](#here)\n# Here";
    expect((await brokenLinks("README.md", text)).map((problem) => problem.split(" ")[1])).toEqual([
      "nowhere.md:",
      "README.md#no-such:",
    ]);
  });
});

describe("blocks", () => {
  test("of documents that are run here have a known language and known words, and are run or say why not", () => {
    const problems = blocks
      .filter(({ document }) => isRunHere(document))
      .flatMap((block) => {
        const { language, words } = block;
        const unknown = Object.keys(words).filter((word) => !Object.hasOwn(WORDS, word));
        const why = words.reason;
        return [
          ...(LANGUAGES.includes(language) ? [] : [`the language ${language}`]),
          ...unknown.map((word) => `the word ${word}`),
          ...("no-run" in words && (why === undefined || !Object.hasOwn(NO_RUN_REASONS, why))
            ? ["no known reason"]
            : []),
          ...(language === "yaml" && !("file" in words) && !("no-run" in words) ? ["yaml that nobody reads"] : []),
        ].map((problem) => `${where(block)}: ${problem}`);
      });
    expect(problems).toEqual([]);
  });

  test("every reason is needed by some block", () => {
    const used = new Set(blocks.map(({ words }) => words.reason));
    expect(Object.keys(NO_RUN_REASONS).filter((reason) => !used.has(reason))).toEqual([]);
  });

  test("what the gate is said to run, it runs", async () => {
    const gate = await Bun.file(`${ROOT}/.ci/run`).text();
    const lines = blocks.filter(({ words }) => words.reason === "gate").flatMap(({ text }) => text.trim().split("\n"));
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines) expect(gate).toContain(line.replace(/\s*#.*$/, ""));
  });

  test("every command of rendiff that a block or a sentence names exists", async () => {
    const nothing = { out: () => {}, err: () => {}, isTerminal: false, signal: new AbortController().signal };
    const commands = new Set(makeProgram(nothing).commands.map((command) => command.name()));
    const spans = await Promise.all(
      documents.map(async (document) =>
        [...(await readDocument(document)).matchAll(/`([^`\n]+)`/g)].map(([, text = ""]) => ({ document, text })),
      ),
    );
    const code = [...blocks.filter(({ language }) => language === "sh"), ...spans.flat()];
    const named = code.flatMap(({ document, text }) =>
      [...text.matchAll(/(?<![\w./-]|exec |-n )rendiff ([a-z]+)(?![a-z.])/g)].map(([, name = ""]) => ({
        document,
        name,
      })),
    );
    expect(named.length).toBeGreaterThan(20);
    expect(named.filter(({ name }) => !commands.has(name))).toEqual([]);
  });

  test("every setting that a document names exists", async () => {
    const settings = new Set<string>([...SETTING_NAMES, ...SECRET_FILE_NAMES, ...ERROR_CODES]);
    const texts = await Promise.all(
      documents.filter(isRunHere).map(async (document) => ({ document, text: await readDocument(document) })),
    );
    const named = texts.flatMap(({ document, text }) =>
      [...text.matchAll(/\b[A-Z][A-Z0-9]+_[A-Z0-9_]+\b/g)].map(([name]) => `${document}: ${name}`),
    );
    const known = (one: string) => settings.has(one.split(": ")[1] ?? "") || OTHER_NAMES.has(one.split(": ")[1] ?? "");
    expect([...new Set(named)].filter((one) => !known(one))).toEqual([]);
  });

  test("a fence that is left open, and words behind a language, are read", () => {
    expect(() => blocksOf("a.md", "text\n```sh\nls\n")).toThrow("a.md:2");
    const [block] = blocksOf("a.md", "````sh serve=8001 no-run reason=gate\n```\nls\n````\n");
    expect(block).toEqual({
      ...{ document: "a.md", line: 1, language: "sh", text: "```\nls\n" },
      words: { serve: "8001", "no-run": "", reason: "gate" },
    });
  });
});
