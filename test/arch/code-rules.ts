/** What may be said only in one place, or nowhere. */
import {
  isNode,
  isProduct,
  isTest,
  lineAt,
  nameOf,
  type Rule,
  type Source,
  usesOf,
  type Violation,
  walk,
} from "./source.ts";

interface Ban {
  readonly name: string;
  /** Dotted names; the same with anything after a further dot is meant too. */
  readonly uses: readonly string[];
  readonly applies: (source: Source) => boolean;
  readonly why: string;
}

const matches = (name: string, banned: string): boolean => name === banned || name.startsWith(`${banned}.`);

function ban({ name, uses, applies, why }: Ban): Rule {
  return {
    name,
    check: (sources) =>
      sources.filter(applies).flatMap((source) => {
        const lines = new Map<number, Violation>();
        for (const use of usesOf(source)) {
          if (!uses.some((banned) => matches(use.name, banned))) continue;
          const line = lineAt(source.text, use.node.start);
          if (!lines.has(line)) lines.set(line, { path: source.path, line, message: `uses ${use.name}. ${why}` });
        }
        return [...lines.values()];
      }),
  };
}

export const noEnvironment = ban({
  name: "the environment is read in src/config only",
  uses: ["process.env", "Bun.env", "import.meta.env"],
  applies: (source) => isProduct(source) && !source.path.startsWith("src/config/"),
  why: "A setting that is read elsewhere is not validated, documented or reported with the others.",
});

export const noSpawn = ban({
  name: "child processes are started in src/process only",
  uses: ["Bun.spawn", "Bun.spawnSync", "Bun.$"],
  applies: (source) => isProduct(source) && !source.path.startsWith("src/process/"),
  why: "A process started elsewhere has no sandbox, no limits, no group to kill, and outlives its parent.",
});

export const noSignals = ban({
  name: "process.on is used in src/main.ts only",
  uses: ["process.on", "process.once", "process.addListener", "process.prependListener"],
  applies: (source) => isProduct(source) && source.path !== "src/main.ts",
  why: "Two owners of a signal race for the order in which the process ends.",
});

export const pureMedia = ban({
  name: "src/media is pure",
  uses: [
    ..."Bun process performance fetch setTimeout setInterval setImmediate console crypto globalThis".split(" "),
    ..."Date.now Math.random import.meta".split(" "),
    "new Date",
  ],
  applies: (source) => isProduct(source) && source.path.startsWith("src/media/"),
  why: "The same arguments must give the same plan, at any time and on any machine.",
});

const TEST_FILE = /\.(test|contract)\.tsx?$/;

export const noSleeps = ban({
  name: "no sleep in a test",
  uses: ["setTimeout", "setInterval", "Bun.sleep", "Bun.sleepSync", "Atomics.wait"],
  applies: ({ path }) => TEST_FILE.test(path),
  why: "A sleep is too short on a slow machine and too long on a fast one: wait for a signal, or `until` a condition holds.",
});

export const noModuleMocks = ban({
  name: "no mock.module",
  uses: ["mock.module"],
  applies: isTest,
  why: "It leaks into other test files: pass a plain object instead.",
});

const RUNNERS = ["test", "it", "describe"];
const variants = (...names: string[]) => RUNNERS.flatMap((runner) => names.map((name) => `${runner}.${name}`));

export const noOnly = ban({
  name: "no .only",
  uses: variants("only"),
  applies: (source) => isTest(source),
  why: "It silently switches every other test off.",
});

export const noBareSkips = ban({
  name: "tests are skipped by testUnless only",
  uses: [...variants("skip", "todo", "if", "skipIf", "todoIf"), "xtest", "xit", "xdescribe"],
  applies: (source) => isTest(source) && source.path !== "test/support/gated.ts",
  why: "A skip is accepted only from the committed list, with its reason: use test/support/gated.ts.",
});

function callsOf(source: Source, name: string): number[] {
  const lines: number[] = [];
  walk(source.program, (node) => {
    if (node.type !== "CallExpression" && node.type !== "TSInstantiationExpression") return;
    const called = nameOf(node.callee);
    if (called === name || called?.endsWith(`.${name}`) === true) lines.push(lineAt(source.text, node.start));
  });
  return lines;
}

const SPAWN_ROOT = "actors/spawn-root.ts";

export const oneCreateActor: Rule = {
  name: "createActor is called once, in actors/spawn-root.ts",
  check: (sources) =>
    sources.filter(isProduct).flatMap((source) => {
      const lines = callsOf(source, "createActor");
      const message =
        "calls createActor. A root without the error observer of actors/spawn-root.ts ends the process with its first error.";
      if (source.path !== SPAWN_ROOT) return lines.map((line) => ({ path: source.path, line, message }));
      if (lines.length === 1) return [];
      return [
        { path: source.path, line: lines[1] ?? 1, message: `calls createActor ${lines.length} times, not once.` },
      ];
    }),
};

export const namedExports: Rule = {
  name: "named exports only",
  check: (sources) =>
    sources
      .filter(({ path }) => !path.endsWith(".d.ts"))
      .flatMap((source) => {
        const found: Violation[] = [];
        walk(source.program, (node) => {
          const renamed = node.type === "ExportSpecifier" && isNode(node.exported) && node.exported.name === "default";
          if (node.type !== "ExportDefaultDeclaration" && !renamed) return;
          const message = "has a default export: its importers would each give it a name of their own.";
          found.push({ path: source.path, line: lineAt(source.text, node.start), message });
        });
        return found;
      }),
};
