/** How much one file and one function may hold, and how files are named. */
import { isNode, isTest, lineAt, type Node, nameOf, type Rule, type Source, type Violation, walk } from "./source.ts";

const FILE_LINES_MAX = 400;
const FUNCTION_LINES_MAX = 70;
const FUNCTIONS = new Set(["FunctionDeclaration", "FunctionExpression", "ArrowFunctionExpression"]);

export const fileBudget: Rule = {
  name: `no file over ${FILE_LINES_MAX} lines`,
  check: (sources) =>
    sources
      .filter(({ lines }) => lines > FILE_LINES_MAX)
      .map(({ path, lines }) => ({
        path,
        line: lines,
        message: `has ${lines} lines of ${FILE_LINES_MAX}: a reader has to hold a file in the head.`,
      })),
};

function nameOfFunction(node: Node, parent: Node | undefined): string {
  const named = isNode(node.id) ? node.id : isNode(parent?.id) ? parent.id : parent?.key;
  return nameOf(named) ?? "an anonymous function";
}

function longFunctions(source: Source): Violation[] {
  const found: Violation[] = [];
  walk(source.program, (node, ancestors) => {
    if (!FUNCTIONS.has(node.type)) return;
    const line = lineAt(source.text, node.start);
    const lines = lineAt(source.text, node.end) - line + 1;
    if (lines <= FUNCTION_LINES_MAX) return;
    const name = nameOfFunction(node, ancestors.at(-1));
    found.push({ path: source.path, line, message: `${name} has ${lines} lines of ${FUNCTION_LINES_MAX}.` });
  });
  return found;
}

export const functionBudget: Rule = {
  name: `no function over ${FUNCTION_LINES_MAX} lines`,
  check: (sources) => sources.filter((source) => !isTest(source)).flatMap(longFunctions),
};

const SEGMENT = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)*$/;

export const fileNames: Rule = {
  name: "files and folders are in kebab-case",
  check: (sources) =>
    sources
      .filter(({ path }) => !path.split("/").every((segment) => SEGMENT.test(segment)))
      .map(({ path }) => ({ path, line: 1, message: "is not in kebab-case, as every other name is." })),
};
