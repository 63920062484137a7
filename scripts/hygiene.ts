/**
 * What a committed file must not say: where one machine keeps its things, and which package registry it asks. Such a line
 * works for its author alone.
 */

export interface Finding {
  readonly path: string;
  readonly line: number;
  readonly text: string;
}

/** Put together here, so that this file does not find itself. */
const WORDS = [
  ["/wo", "rk/"],
  ["/tmp/", "briefs"],
  ["/root", "/"],
  ["registry.npm", "js.org"],
  ["registry.yarn", "pkg.com"],
  ["files.python", "hosted.org"],
  ["pypi", ".org"],
].map((parts) => parts.join(""));

const HOME = new RegExp(["/home", "/[a-z]", "|/Us", "ers/[A-Za-z]"].join(""));

/** Hosts that this machine's package managers are told to use, by the variables they read. */
export function registryHosts(env: Record<string, string | undefined>): string[] {
  const names = /^(npm_config_registry|bun_config_registry|pip_(extra_)?index_url|uv_index_url|goproxy)$/i;
  return Object.entries(env)
    .filter(([name, value]) => names.test(name) && value !== undefined)
    .flatMap(([, value]) => (value ?? "").split(/[\s,|]+/))
    .flatMap((url) => (URL.canParse(url) ? [new URL(url).host] : []))
    .filter((host) => host !== "");
}

export function findIn(path: string, text: string, hosts: readonly string[]): Finding[] {
  const words = [...WORDS, ...hosts];
  return text.split("\n").flatMap((line, index) => {
    const bad = words.some((word) => line.includes(word)) || HOME.test(line);
    return bad ? [{ path, line: index + 1, text: line.trim().slice(0, 160) }] : [];
  });
}

/** What is tracked or would be; without git, a copy of the checkout is all that is not made here. */
function listFiles(): string[] {
  if (Bun.which("git") !== null) {
    const list = Bun.spawnSync(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    if (list.exitCode === 0) return [...new Set(list.stdout.toString().split("\0"))].filter((path) => path !== "");
  }
  const made = /^(node_modules|dist|data|\.cache|\.git)\/|\.log$|(^|\/)\.env(\.(?!example$)|$)/;
  return [...new Bun.Glob("**/*").scanSync({ cwd: ".", dot: true })].filter((path) => !made.test(path));
}

/** Every text file of the project; a NUL byte marks the others. */
export async function findAll(): Promise<Finding[]> {
  const hosts = registryHosts(Bun.env);
  const findings: Finding[] = [];
  for (const path of listFiles()) {
    const file = Bun.file(path);
    if (!(await file.exists())) continue;
    const text = await file.text();
    if (!text.includes("\0")) findings.push(...findIn(path, text, hosts));
  }
  return findings;
}
