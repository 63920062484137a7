/** Where a document leads: files of the checkout and headings in them. */
import { stat } from "node:fs/promises";
import { dirname, join, normalize } from "node:path";
import { ROOT, readDocument } from "./blocks.ts";

/** Without code, in which brackets are not links. */
const prose = (markdown: string): string =>
  markdown.replace(/^(`{3,}|~{3,})[\s\S]*?^\1\s*$/gm, "").replace(/`[^`\n]*`/g, "");

/** As GitHub makes them. */
function anchorsOf(markdown: string): Set<string> {
  const seen = new Map<string, number>();
  const withoutBlocks = markdown.replace(/^(`{3,}|~{3,})[\s\S]*?^\1\s*$/gm, "");
  const anchors = [...withoutBlocks.matchAll(/^#{1,6}\s+(.+?)\s*#*$/gm)].map(([, heading = ""]) => {
    const plain = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    const slug = plain.replace(/[^\p{L}\p{N}_ -]/gu, "").replaceAll(" ", "-");
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    return count === 0 ? slug : `${slug}-${count}`;
  });
  return new Set(anchors);
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

async function problemOf(document: string, markdown: string, target: string): Promise<string | null> {
  if (/^(https?:|mailto:)/.test(target)) return URL.canParse(target) ? null : `${target} is no URL`;
  const [path = "", anchor] = target.split("#");
  const file = path === "" ? document : normalize(join(dirname(document), path));
  if (file.startsWith("..") || !(await exists(join(ROOT, file)))) return `${target}: there is no ${file}`;
  if (anchor === undefined || !file.endsWith(".md")) return null;
  const text = file === document ? markdown : await readDocument(file);
  return anchorsOf(text).has(anchor) ? null : `${target}: ${file} has no heading #${anchor}`;
}

/** One sentence for each link that leads nowhere. Addresses elsewhere are only read, not asked. */
export async function brokenLinks(document: string, markdown: string): Promise<string[]> {
  const targets = [...prose(markdown).matchAll(/\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)/g)].map(
    ([, target = ""]) => target,
  );
  const problems = await Promise.all(targets.map((target) => problemOf(document, markdown, target)));
  return problems.filter((problem) => problem !== null).map((problem) => `${document}: ${problem}`);
}
