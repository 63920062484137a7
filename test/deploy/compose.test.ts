/** The compose files, held against the configuration and what they promise. `./dev compose` starts them. */
import { describe, expect, test } from "bun:test";
import { symlink } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { loadConfig } from "../../src/config/load.ts";
import type { Machine } from "../../src/config/machine.ts";
import { VERSION } from "../../src/version.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { withSecretFiles } from "./secret-files.ts";

const machine: Machine = { cpuCount: 4, memoryBytes: 8e9, isTerminal: false, diskBytes: () => 1e12 };

const serviceSchema = z.looseObject({
  image: z.string(),
  command: z.array(z.string()).default([]),
  environment: z
    .record(
      z.string(),
      z.union([z.string(), z.number(), z.null()]).transform((value) => (value === null ? "" : String(value))),
    )
    .default({}),
  ports: z.array(z.string()).default([]),
  volumes: z.array(z.string()).default([]),
  secrets: z.array(z.string()).default([]),
  networks: z.union([z.array(z.string()), z.record(z.string(), z.unknown())]).optional(),
  stop_grace_period: z.string().optional(),
  healthcheck: z.looseObject({ disable: z.boolean().optional() }).optional(),
  logging: z.looseObject({ options: z.record(z.string(), z.string()) }),
  security_opt: z.array(z.string()).default([]),
  cap_drop: z.array(z.string()).default([]),
  read_only: z.boolean().optional(),
  deploy: z.looseObject({ resources: z.looseObject({ limits: z.record(z.string(), z.string()) }) }).optional(),
});

const fileSchema = z.looseObject({
  services: z.record(z.string(), serviceSchema),
  secrets: z.record(z.string(), z.strictObject({ file: z.string() })).default({}),
  networks: z.record(z.string(), z.looseObject({ internal: z.boolean().optional() }).nullable()).default({}),
});

const defaulted = (text: string): string => text.replace(/\$\{\w+:-([^}]*)\}/g, "$1");
const read = async (path: string) => fileSchema.parse(Bun.YAML.parse(defaulted(await Bun.file(path).text())));
const files = { "compose.yml": await read("compose.yml"), "compose.prod.yml": await read("compose.prod.yml") };
const prod = files["compose.prod.yml"];

const services = Object.entries(files).flatMap(([file, { services: all }]) =>
  Object.entries(all).map(([name, service]) => ({ title: `${file} ${name}`, file, name, service })),
);
const ours = services.filter(({ service }) => service.image.startsWith("rendiff:"));
const networksOf = ({ networks = [] }: z.output<typeof serviceSchema>): string[] =>
  Array.isArray(networks) ? networks : Object.keys(networks);

async function configOf({ environment, command }: z.output<typeof serviceSchema>) {
  const role = command.includes("--role") ? command[command.indexOf("--role") + 1] : undefined;
  const image = { RENDIFF_ENV: "production", API_HOST: "0.0.0.0", DATA_DIR: "/data", SANDBOX: "auto" };
  const env = await withSecretFiles({ ...image, ...environment });
  return loadConfig({ env, cwd: "/", machine, ...(role === undefined ? {} : { role }) });
}

/** A PATH on which everything is that the script runs, apart from OpenSSL. */
async function withoutOpenssl(): Promise<string> {
  const folder = await makeTempDir("bin");
  for (const name of ["cat", "chmod", "cut", "mkdir", "mv", "rm"])
    await symlink(Bun.which(name) ?? "", join(folder, name));
  return folder;
}

describe("a service of ours", () => {
  test.each(ours)("has a configuration that Rendiff starts with: $title", async ({ service }) => {
    const { profile } = await configOf(service);
    expect(profile).toBe(
      "DATABASE_URL" in service.environment || "DATABASE_URL_FILE" in service.environment ? "cluster" : "embedded",
    );
  });

  test.each(ours)("may drain to its end, and is this version: $title", async ({ name, service }) => {
    expect(service.image).toBe(`rendiff:${VERSION}`);
    if (name === "migrate") return;
    const { process } = await configOf(service);
    const seconds = Number(/^(\d+)s$/.exec(service.stop_grace_period ?? "")?.[1]);
    expect(seconds).toBeGreaterThan((process.drainDelayMs + process.drainTimeoutMs) / 1_000);
  });
});

describe("compose.yml", () => {
  test("starts one service with an embedded database unless a profile is named", () => {
    const always = Object.entries(files["compose.yml"].services).filter(([, service]) => !("profiles" in service));
    expect(always.map(([name]) => name)).toEqual(["rendiff"]);
  });

  test("listens on the machine's own loopback only", () => {
    const ports = Object.values(files["compose.yml"].services).flatMap((service) => service.ports);
    expect(ports).toEqual(["127.0.0.1:8000:8000", "127.0.0.1:8001:8000"]);
  });
});

describe("compose.prod.yml", () => {
  const all = services.filter(({ file }) => file === "compose.prod.yml");

  test("opens what it says it opens", () => {
    const ports = all.flatMap(({ name, service }) => service.ports.map((port) => `${name} ${port}`));
    expect(ports).toEqual(["traefik 80:8080", "traefik 443:8443", "grafana 127.0.0.1:3000:3000"]);
  });

  test.each(all)("limits, logs by turns, drops rights and knows whether it is well: $title", ({ name, service }) => {
    expect(Object.keys(service.deploy?.resources.limits ?? {}).sort()).toEqual(["cpus", "memory"]);
    expect(service.logging.options).toEqual({ "max-size": "20m", "max-file": "5" });
    expect(service.cap_drop).toEqual(["ALL"]);
    expect(service.security_opt).toContain("no-new-privileges:true");
    expect(service.image).toMatch(/:v?\d+[\w.-]*$/);
    // The image of ours has its check inside; a migration ends.
    const watched = service.image.startsWith("rendiff:") || service.healthcheck !== undefined;
    expect([watched, service.healthcheck?.disable === true]).toEqual([true, name === "migrate"]);
  });

  test("holds no secret in its text, and makes each that it names", async () => {
    const used = new Set(all.flatMap(({ service }) => service.secrets));
    expect([...used].sort()).toEqual(Object.keys(prod.secrets).sort());
    const folder = join(await makeTempDir("secrets"), "secrets");
    const made = Bun.spawnSync(["sh", "deploy/make-secrets.sh", folder], { stderr: "pipe" });
    expect([made.exitCode, made.stderr.toString()]).toEqual([0, ""]);
    const before = await Bun.file(join(folder, "database_url")).text();
    for (const { file } of Object.values(prod.secrets)) {
      expect(await Bun.file(join(folder, file.replace("./secrets/", ""))).text()).not.toBe("");
    }
    Bun.spawnSync(["sh", "deploy/make-secrets.sh", folder], { stderr: "pipe" });
    expect(await Bun.file(join(folder, "database_url")).text()).toBe(before);
    const texts = all.map(({ service }) => JSON.stringify(service.environment));
    expect(texts.join()).not.toMatch(/postgres:\/\/|redis:\/\//);
  });

  test("makes anew a secret that a start before it left empty", async () => {
    const folder = await makeTempDir("secrets");
    const broken = Bun.spawnSync(["/bin/sh", "deploy/make-secrets.sh", folder], {
      env: { PATH: await withoutOpenssl() },
    });
    expect(broken.exitCode).not.toBe(0);
    await Promise.all([
      Bun.write(join(folder, "signing_secret"), ""),
      Bun.write(join(folder, "redis_users"), "user default on #of-another-password"),
    ]);
    const made = Bun.spawnSync(["sh", "deploy/make-secrets.sh", folder], { stderr: "pipe" });
    expect([made.exitCode, made.stderr.toString()]).toEqual([0, ""]);
    const textOf = (name: string) => Bun.file(join(folder, name)).text();
    expect((await textOf("postgres_password")).length).toBeGreaterThan(40);
    expect((await textOf("signing_secret")).length).toBeGreaterThan(40);
    const password = /^redis:\/\/:(.+)@redis\n$/.exec(await textOf("redis_url"))?.[1] ?? "";
    const hash = new Bun.CryptoHasher("sha256").update(password).digest("hex");
    expect(await textOf("redis_users")).toBe(`user default on #${hash} ~* &* +@all\n`);
  });

  test("keeps database and queue where nothing outside reaches them", () => {
    for (const name of ["postgres", "redis"]) {
      const service = prod.services[name];
      expect(service === undefined ? [] : networksOf(service)).toEqual(["back"]);
    }
    expect(prod.networks.back?.internal).toBe(true);
    expect(networksOf(prod.services.traefik as z.output<typeof serviceSchema>)).not.toContain("back");
  });

  test("runs FFmpeg in its sandbox or not at all", async () => {
    const { worker } = prod.services;
    expect(worker?.security_opt).toContain("seccomp:deploy/seccomp/rendiff.json");
    expect((await configOf(worker as z.output<typeof serviceSchema>)).worker.sandbox).toBe("required");
  });

  test("mounts what is there", async () => {
    const paths = all.flatMap(({ service }) => service.volumes).filter((volume) => volume.startsWith("./"));
    for (const path of paths.map((volume) => volume.split(":")[0] ?? "")) {
      expect([
        path,
        await Bun.$`test -e ${path}`
          .nothrow()
          .quiet()
          .then(({ exitCode }) => exitCode),
      ]).toEqual([path, 0]);
    }
  });
});
