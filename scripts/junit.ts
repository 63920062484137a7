/** Reads what bun's JUnit reporter wrote: attributes only, since the counting needs no more than they say. */

export interface TestCase {
  readonly file: string;
  /** Groups and name, joined by ` > `. */
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
  readonly seconds: number;
}

const ENTITIES: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function decodeEntities(text: string): string {
  return text.replace(/&(#x?[0-9a-fA-F]+|\w+);/g, (whole, name: string) => {
    if (name.startsWith("#x")) return String.fromCodePoint(Number.parseInt(name.slice(2), 16));
    if (name.startsWith("#")) return String.fromCodePoint(Number(name.slice(1)));
    return ENTITIES[name] ?? whole;
  });
}

function attributesOf(tag: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [, key = "", value = ""] of tag.matchAll(/([\w-]+)="([^"]*)"/g)) found[key] = decodeEntities(value);
  return found;
}

export function parseJunit(xml: string): TestCase[] {
  // A case is closed at once or holds <failure> or <skipped>; bun escapes < and > everywhere else.
  return [...xml.matchAll(/<testcase\b([^>]*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g)].map(([, tag = "", body = ""]) => {
    const { file = "", name = "", classname = "", time = "0" } = attributesOf(tag);
    const outcome = body.includes("<failure") || body.includes("<error") ? "failed" : skippedOr(body);
    return { file, name: classname === "" ? name : `${classname} > ${name}`, outcome, seconds: Number(time) };
  });
}

const skippedOr = (body: string): "skipped" | "passed" => (body.includes("<skipped") ? "skipped" : "passed");
