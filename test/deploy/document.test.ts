/** The commands of docs/deployment.md, held against the files they are about; `./dev image` and `./dev compose` run them. */
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { isSettingName } from "../../src/config/schema.ts";
import { documentBlocks } from "../docs/blocks.ts";

/** Read by compose.prod.yml itself. */
const COMPOSE_NAMES = ["ACME_EMAIL", "ALLOW_LIST", "WORKERS"];

const commands = (await documentBlocks("docs/deployment.md"))
  .filter(({ language }) => language === "sh")
  .flatMap(({ text }) => text.replaceAll("\\\n", " ").split("\n"))
  .map((line) => line.replace(/\s+#.*$/, "").trim())
  .filter((line) => line !== "");

const servicesOf = async (file: string): Promise<string[]> => {
  const schema = z.looseObject({ services: z.record(z.string(), z.unknown()) });
  return Object.keys(schema.parse(Bun.YAML.parse(await Bun.file(file).text())).services);
};

const starting = (words: string): string[] => commands.filter((command) => command.startsWith(words));

test("compose is given services that its files have", async () => {
  const lines = starting("docker compose");
  expect(lines.length).toBeGreaterThan(5);
  for (const line of lines) {
    const file = /-f (\S+)/.exec(line)?.[1] ?? "compose.yml";
    const [, verb = "", rest = ""] = /\b(up|exec|run)\b(.*)$/.exec(line) ?? [];
    const named = rest.split(" ").filter((word) => word !== "" && !word.startsWith("-"));
    const services = await servicesOf(file);
    expect([line, (verb === "up" ? named : named.slice(0, 1)).filter((name) => !services.includes(name))]).toEqual([
      line,
      [],
    ]);
  }
});

test("kubectl is given folders that kustomize builds, and the secret has what pods read", async () => {
  const folders = starting("kubectl apply -k").map((line) => line.split(" ")[3] ?? "");
  expect(folders).toContain("k8s");
  for (const folder of folders)
    expect([folder, existsSync(join(folder, "kustomization.yaml"))]).toEqual([folder, true]);
  const made = starting("kubectl -n rendiff create secret").flatMap((line) => [
    ...line.matchAll(/--from-literal=([\w-]+)=/g),
  ]);
  const read = (await Bun.file("k8s/base/config.env").text()).matchAll(/_FILE=\/run\/secrets\/rendiff\/([\w-]+)$/gm);
  expect(made.map(([, name = ""]) => name).sort()).toEqual([...read].map(([, name = ""]) => name).sort());
});

test("every variable is a setting, or one of the compose file's own", () => {
  const given = commands.flatMap((line) =>
    [...line.matchAll(/(?:^|-e )([A-Z][A-Z_]+)=/g)].map(([, name = ""]) => name),
  );
  expect(given).toContain("SANDBOX");
  expect(given.filter((name) => !isSettingName(name) && !COMPOSE_NAMES.includes(name))).toEqual([]);
});

test("what is mounted, or run from the checkout, is there", () => {
  const paths = commands.flatMap((line) => line.match(/\b(?:deploy|k8s)\/[\w./-]+|compose[\w.]*\.yml/g) ?? []);
  expect(paths.length).toBeGreaterThan(3);
  expect(paths.filter((path) => !existsSync(path))).toEqual([]);
});
