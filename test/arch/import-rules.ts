/** Directions, homes of packages, cycles, extensions. */
import { LAYERS, type Layer, MEDIA_PACKAGES, PACKAGE_HOMES } from "./layers.ts";
import { type Import, isProduct, type Rule, type Source, type Violation } from "./source.ts";

const layerOf = (path: string): Layer | undefined => LAYERS.find(({ files }) => files.test(path));

function judgeImport({ path }: Source, from: Layer, { target, typeOnly, line }: Import): Violation[] {
  const to = layerOf(target);
  if (to === undefined || to.name === from.name || from.may.includes(to.name)) return [];
  if (typeOnly && from.types?.includes(to.name) === true) return [];
  const kind = from.types?.includes(to.name) === true ? " (only `import type` would be)" : "";
  return [{ path, line, message: `${from.name} must not import ${to.name}, here ${target}${kind}. ${from.why}` }];
}

export const importDirections: Rule = {
  name: "imports flow one way",
  check: (sources) =>
    sources.filter(isProduct).flatMap((source) => {
      const from = layerOf(source.path);
      if (from === undefined) {
        const message = "belongs to no layer of test/arch/layers.ts: say there what it may import.";
        return [{ path: source.path, line: 1, message }];
      }
      return source.imports
        .filter(({ relative, target }) => relative && target !== "package.json")
        .flatMap((one) => outsideProduct(source, one) ?? judgeImport(source, from, one));
    }),
};

function outsideProduct({ path }: Source, { target, line }: Import): Violation[] | null {
  if (isProduct({ path: target })) return null;
  return [{ path, line, message: `imports ${target}. What is delivered must not need tests, tools or benches.` }];
}

export const packageHomes: Rule = {
  name: "each package has one home",
  check: (sources) =>
    sources.filter(isProduct).flatMap((source) =>
      source.imports
        .filter(({ relative }) => !relative)
        .flatMap(({ target, line }) => {
          const rule = PACKAGE_HOMES.find(({ packages, home }) => packages.test(target) && !home.test(source.path));
          return rule === undefined ? [] : [{ path: source.path, line, message: `imports ${target}. ${rule.why}` }];
        }),
    ),
};

export const mediaImports: Rule = {
  name: "src/media imports nothing from outside but zod",
  check: (sources) =>
    sources
      .filter((source) => isProduct(source) && source.path.startsWith("src/media/"))
      .flatMap(({ path, imports }) =>
        imports
          .filter(({ relative, target }) => !relative && !MEDIA_PACKAGES.includes(target))
          .map(({ target, line }) => ({
            path,
            line,
            message: `imports ${target}. The pure layer has no I/O and no Bun.`,
          })),
      ),
};

export const extensions: Rule = {
  name: "relative imports name the file",
  check: (sources) =>
    sources.flatMap(({ path, imports }) =>
      imports
        .filter(({ relative, specifier }) => relative && !/\.[a-z]+$/.test(specifier))
        .map(({ specifier, line }) => ({ path, line, message: `imports "${specifier}" without its extension.` })),
    ),
};

/** Depth first; a file that is met again while it is still open closes a circle. */
function findCycle(start: string, graph: Map<string, string[]>, done: Set<string>): string[] | null {
  const open: string[] = [];
  const visit = (path: string): string[] | null => {
    const at = open.indexOf(path);
    if (at !== -1) return [...open.slice(at), path];
    if (done.has(path)) return null;
    open.push(path);
    for (const next of graph.get(path) ?? []) {
      const cycle = visit(next);
      if (cycle !== null) return cycle;
    }
    open.pop();
    done.add(path);
    return null;
  };
  return visit(start);
}

export const noCycles: Rule = {
  name: "no circle of imports",
  check(sources) {
    const graph = new Map(
      sources.map(({ path, imports }) => [
        path,
        imports.filter(({ relative, typeOnly }) => relative && !typeOnly).map(({ target }) => target),
      ]),
    );
    const done = new Set<string>();
    for (const { path } of sources) {
      const cycle = findCycle(path, graph, done);
      if (cycle !== null) {
        const message = `${cycle.join(" → ")}: neither can be read, tested or loaded first.`;
        return [{ path: cycle[0] ?? path, line: 1, message }];
      }
    }
    return [];
  },
};
