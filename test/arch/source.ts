/** A source file as the architecture rules see it: parsed once, with its imports resolved to paths. */
import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { parseSync } from "oxc-parser";

export interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

export interface Import {
  /** A path from the checkout's root, or a package's name with what follows it. */
  readonly target: string;
  readonly specifier: string;
  readonly relative: boolean;
  /** Erased by the compiler: it says what is known, not what is run. */
  readonly typeOnly: boolean;
  readonly line: number;
}

export interface Source {
  /** From the checkout's root, with `/`. */
  readonly path: string;
  readonly text: string;
  readonly lines: number;
  readonly program: Node;
  readonly imports: readonly Import[];
}

export interface Violation {
  readonly path: string;
  readonly line: number;
  /** What is wrong, and why that matters. */
  readonly message: string;
}

export interface Rule {
  readonly name: string;
  check(sources: readonly Source[]): Violation[];
}

/** Calls `visit` for each node with the nodes above it, the nearest last. */
export function walk(root: Node, visit: (node: Node, ancestors: readonly Node[]) => void): void {
  const ancestors: Node[] = [];
  const step = (node: Node): void => {
    visit(node, ancestors);
    ancestors.push(node);
    for (const key in node) {
      const value = node[key];
      if (Array.isArray(value)) {
        for (const item of value) if (isNode(item)) step(item);
      } else if (isNode(value)) step(value);
    }
    ancestors.pop();
  };
  step(root);
}

export function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string";
}

export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf("\n"); at !== -1 && at < offset; at = text.indexOf("\n", at + 1)) line += 1;
  return line;
}

const SPECIFIED = new Set(["ImportDeclaration", "ExportNamedDeclaration", "ExportAllDeclaration", "ImportExpression"]);

function isTypeOnly(node: Node): boolean {
  if (node.importKind === "type" || node.exportKind === "type") return true;
  const named = Array.isArray(node.specifiers) ? (node.specifiers as Node[]) : [];
  return named.length > 0 && named.every((one) => one.importKind === "type" || one.exportKind === "type");
}

function importsOf(path: string, text: string, program: Node): Import[] {
  const found: Import[] = [];
  walk(program, (node) => {
    if (!SPECIFIED.has(node.type) || !isNode(node.source)) return;
    const specifier = node.source.value;
    if (typeof specifier !== "string") return;
    const relative = specifier.startsWith(".");
    const target = relative ? normalize(join(dirname(path), specifier)) : specifier;
    found.push({ target, specifier, relative, typeOnly: isTypeOnly(node), line: lineAt(text, node.start) });
  });
  return found;
}

export function parseSource(path: string, text: string): Source {
  const { program, errors } = parseSync(path, text);
  const [first] = errors;
  if (first !== undefined) throw new Error(`${path} is no TypeScript: ${first.message}`);
  const root = program as unknown as Node;
  const lines = text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
  return { path, text, lines, program: root, imports: importsOf(path, text, root) };
}

export const ROOTS = ["src", "actors", "plugins", "migrations", "scripts", "bench", "test"];

/** Every TypeScript file of the project; the checkout's root is the working directory. */
export function readSources(): Source[] {
  return ROOTS.flatMap((root) => [...new Bun.Glob(`${root}/**/*.{ts,tsx}`).scanSync(".")])
    .sort()
    .map((path) => parseSource(path, readFileSync(path, "utf8")));
}

/** Tests and what only they use: free to reach everywhere. */
export const isTest = ({ path }: { path: string }): boolean =>
  path.startsWith("test/") || /\.(test|fixture)\.tsx?$/.test(path);

/** What is delivered: not the tests, the tools and the benches. */
export const isProduct = (source: { path: string }): boolean =>
  !isTest(source) && !/^(scripts|bench)\//.test(source.path);

/** The dotted name of a member or an identifier: `Bun.env`, `process.on`; null for anything less plain. */
export function nameOf(node: unknown): string | null {
  if (!isNode(node)) return null;
  if (node.type === "Identifier") return String(node.name);
  if (node.type === "MetaProperty") return "import.meta";
  if (node.type === "ChainExpression") return nameOf(node.expression);
  if (node.type !== "MemberExpression") return null;
  const object = nameOf(node.object);
  if (object === null || !isNode(node.property)) return null;
  if (node.computed !== true) return `${object}.${String(node.property.name)}`;
  return node.property.type === "Literal" ? `${object}.${String(node.property.value)}` : null;
}

const NAMED = new Set(["Identifier", "MemberExpression", "MetaProperty"]);

/** Identifiers and members that are used, not those that merely name a property or a binding's key. */
export function usesOf(source: Source): { name: string; node: Node }[] {
  const found: { name: string; node: Node }[] = [];
  walk(source.program, (node, ancestors) => {
    // Only without arguments does a date come from the clock.
    if (node.type === "NewExpression" && nameOf(node.callee) === "Date" && (node.arguments as Node[]).length === 0) {
      found.push({ name: "new Date", node });
    }
    if (!NAMED.has(node.type)) return;
    const parent = ancestors.at(-1);
    const key =
      parent?.type === "Property" || parent?.type === "PropertyDefinition" || parent?.type === "MethodDefinition";
    if (key && parent?.key === node && parent.computed !== true && parent.shorthand !== true) return;
    if (parent?.type === "MemberExpression" && parent.property === node && parent.computed !== true) return;
    if (parent?.type.startsWith("TS")) return;
    const name = nameOf(node);
    if (name !== null) found.push({ name, node });
  });
  return found;
}
