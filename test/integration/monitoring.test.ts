/** What `deploy/` gives to Prometheus, Alertmanager and Grafana: judged by their own programs, and against what there is. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Glob } from "bun";

const ROOT = join(import.meta.dir, "../..");
const PROMETHEUS = join(ROOT, "deploy/prometheus");
const RUNBOOKS = join(ROOT, "docs/runbooks");
const SEVERITIES = ["page", "ticket"];

interface Rule {
  readonly alert?: string;
  readonly record?: string;
  readonly expr: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

async function readRules(): Promise<Rule[]> {
  const files = [...new Glob("rules/*.yml").scanSync(PROMETHEUS)];
  const documents = await Promise.all(
    files.map(async (file) => Bun.YAML.parse(await Bun.file(join(PROMETHEUS, file)).text())),
  );
  return (documents as { groups: { rules: Rule[] }[] }[]).flatMap(({ groups }) => groups.flatMap(({ rules }) => rules));
}

async function run(...argv: string[]): Promise<string> {
  const child = Bun.spawn(argv, { cwd: PROMETHEUS, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  if ((await child.exited) !== 0) throw new Error(`${argv.join(" ")}:\n${out}${err}`);
  return out + err;
}

describe("rules", () => {
  test("are sound for Prometheus, and the routes for Alertmanager", async () => {
    expect(await run("promtool", "check", "config", "prometheus.yml")).toContain("3 rule files found");
    expect(await run("amtool", "check-config", join(ROOT, "deploy/alertmanager/alertmanager.yml"))).toContain(
      "SUCCESS",
    );
  });

  test("fire, hold and end when they should", async () => {
    const tests = [...new Glob("tests/*.yml").scanSync(PROMETHEUS)];
    expect(tests.length).toBeGreaterThan(0);
    await run("promtool", "test", "rules", ...tests);
    const covered = (await Promise.all(tests.map((file) => Bun.file(join(PROMETHEUS, file)).text()))).join("\n");
    for (const { alert } of await readRules()) {
      if (alert === undefined) continue;
      const cases = covered.split(`alertname: ${alert}\n`).slice(1);
      const isQuiet = cases.map((one) => /^\s+exp_alerts: \[\]/.test(one));
      expect([alert, isQuiet.includes(false)]).toEqual([alert, true]);
    }
  });

  test("each alert has a severity that is routed and a page with cause, check and remedy; each page has its alert", async () => {
    const alerts = (await readRules()).filter(({ alert }) => alert !== undefined);
    for (const { alert, labels, annotations } of alerts) {
      expect(SEVERITIES).toContain(labels?.severity ?? "");
      expect(annotations?.runbook).toBe(`docs/runbooks/${alert}.md`);
      const page = await Bun.file(join(ROOT, annotations?.runbook ?? "")).text();
      for (const part of [`# ${alert}\n`, "## Cause\n\n- ", "## Check\n\n- ", "## Remedy\n\n- "])
        expect(page).toContain(part);
    }
    const pages = [...new Glob("*.md").scanSync(RUNBOOKS)].filter((name) => name !== "README.md");
    expect(pages.sort()).toEqual(alerts.map(({ alert }) => `${alert}.md`).sort());
    const index = await Bun.file(join(RUNBOOKS, "README.md")).text();
    for (const page of pages) expect(index).toContain(`(${page})`);
  });

  test("and pages name only figures that there are, and calls and settings likewise", async () => {
    const documented = await Bun.file(join(ROOT, "docs/monitoring.md")).text();
    const known = new Set(documented.match(/\b(rendiff|process)_[a-z_]+\b/g) ?? []);
    const pages = await Promise.all(
      [...new Glob("*.md").scanSync(RUNBOOKS)].map((name) => Bun.file(join(RUNBOOKS, name)).text()),
    );
    const rules = (await readRules()).map(({ expr }) => expr);
    for (const text of [...rules, ...pages]) {
      for (const name of text.match(/\b(rendiff|process)_[a-z_]+\b/g) ?? []) {
        expect(known).toContain(name.replace(/_(bucket|count|sum)$/, ""));
      }
    }
    const paths = new Set(
      Object.keys(((await Bun.file(join(ROOT, "docs/openapi.json")).json()) as { paths: object }).paths).map((path) =>
        path.replaceAll(/\{\w+\}/g, "{}"),
      ),
    );
    for (const text of pages) {
      for (const [, path = ""] of text.matchAll(/`(?:GET|POST|PATCH|DELETE) (\/api\/v1\/[^`?]+)/g)) {
        expect([...paths].some((one) => one.endsWith(path.replaceAll(/\{\w+\}/g, "{}").replace("/api/v1", "")))).toBe(
          true,
        );
      }
    }
  });
});
