/** The code blocks of a document, with what the words behind their language ask for. */
import { resolve } from "node:path";

export const ROOT = resolve(import.meta.dir, "../..");

export interface Block {
  /** From the checkout's root. */
  readonly document: string;
  /** Of the opening fence, from 1. */
  readonly line: number;
  /** `sh`, `ts`, `python`, `json`, `yaml`, `text`; empty where the fence names none. */
  readonly language: string;
  /** `no-run reason=gate` is {"no-run": "", "reason": "gate"}. */
  readonly words: Readonly<Record<string, string>>;
  readonly text: string;
}

export function blocksOf(document: string, markdown: string): Block[] {
  const blocks: Block[] = [];
  let open: { fence: string; line: number; info: string; lines: string[] } | null = null;
  for (const [at, line] of markdown.split("\n").entries()) {
    const [, fence, info] = /^\s*(`{3,}|~{3,})\s*(.*)$/.exec(line) ?? [];
    if (open === null && fence !== undefined) {
      open = { fence, line: at + 1, info: (info ?? "").trim(), lines: [] };
    } else if (open !== null && fence?.startsWith(open.fence) === true && info === "") {
      const [language = "", ...words] = open.info.split(/\s+/);
      const pairs = words.map((word) => [word.split("=")[0] ?? "", word.split("=").slice(1).join("=")] as const);
      blocks.push({
        ...{ document, line: open.line, language, words: Object.fromEntries(pairs) },
        text: open.lines.map((one) => `${one}\n`).join(""),
      });
      open = null;
    } else open?.lines.push(line);
  }
  if (open !== null) throw new Error(`${document}:${open.line}: the block does not end.`);
  return blocks;
}

export const readDocument = (document: string): Promise<string> => Bun.file(`${ROOT}/${document}`).text();

export const documentBlocks = async (document: string): Promise<Block[]> =>
  blocksOf(document, await readDocument(document));

export const where = ({ document, line }: Block): string => `${document}:${line}`;
