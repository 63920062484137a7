/** Traefik on loopback ports: with a certificate that it tells Prometheus of, or as `deploy/traefik` has it before replicas. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterFile } from "./cleanup.ts";
import { freePort, serve, type TestServer, wrapped } from "./servers.ts";
import { makeTempDir } from "./temp-dir.ts";

const DYNAMIC = resolve(import.meta.dir, "../../deploy/traefik/dynamic.yml");
const CACHED = resolve(import.meta.dir, "../../.cache/compose/bin/traefik");

export interface Traefik {
  /** Of its metrics: `127.0.0.1:8082`. */
  readonly address: string;
  /** Serves another certificate from now on, as after a renewal. */
  renew(validDays: number): Promise<void>;
}

function makeCertificate(folder: string, validDays: number): void {
  const files = ["-keyout", join(folder, "key.pem"), "-out", join(folder, "cert.pem"), "-days", `${validDays}`];
  const subject = ["-subj", "/CN=media.test", "-addext", "subjectAltName=DNS:media.test"];
  const { exitCode, stderr } = Bun.spawnSync([
    "openssl",
    "req",
    "-x509",
    "-newkey",
    "rsa:2048",
    "-nodes",
    ...files,
    ...subject,
  ]);
  if (exitCode !== 0) throw new Error(`openssl failed: ${stderr}`);
}

function findTraefik(): string {
  const program = existsSync(CACHED) ? CACHED : Bun.which("traefik");
  if (program === null) throw new Error("Traefik is not here: ./dev test --long installs it.");
  return program;
}

/** With what `folder/dynamic.yml` says; until the file's tests have ended. */
async function serveTraefik(folder: string, entrances: (port: number) => string[]): Promise<TestServer> {
  const program = findTraefik();
  const always = ["--global.checknewversion=false", "--global.sendanonymoususage=false", "--log.level=INFO"];
  const provider = `--providers.file.filename=${join(folder, "dynamic.yml")}`;
  const server = await serve({
    name: "Traefik",
    argv: (port) => wrapped([program, ...entrances(port), provider, ...always], false),
    url: (port) => `http://127.0.0.1:${port}`,
    readyLine: "Starting provider *file.Provider",
    stopSignal: "SIGTERM",
  });
  afterFile(() => server.stop());
  return server;
}

export async function startTraefik(validDays: number): Promise<Traefik> {
  const folder = await makeTempDir("traefik");
  makeCertificate(folder, validDays);
  const files = { certFile: join(folder, "cert.pem"), keyFile: join(folder, "key.pem") };
  await Bun.write(join(folder, "dynamic.yml"), JSON.stringify({ tls: { certificates: [files] } }));
  const server = await serveTraefik(folder, (port) => [
    ...[`--entrypoints.traefik.address=127.0.0.1:${port}`, "--metrics.prometheus=true"],
    "--entrypoints.websecure.address=127.0.0.1:0",
  ]);
  return {
    address: new URL(server.url).host,
    async renew(days) {
      makeCertificate(folder, days);
      await server.stop();
      await server.restart();
    },
  };
}

/** What `deploy/traefik/dynamic.yml` does, with these in the place of its replicas. Resolves to where it listens. */
export async function startProxy(replicas: readonly [string, string]): Promise<string> {
  const folder = await makeTempDir("proxy");
  makeCertificate(folder, 1);
  const given = await Bun.file(DYNAMIC).text();
  const text = given
    .replace("http://api-1:8000", replicas[0])
    .replace("http://api-2:8000", replicas[1])
    .replace('(env "ALLOW_LIST")', '"127.0.0.0/8"')
    .replace("/run/secrets/tls_certificate", join(folder, "cert.pem"))
    .replace("/run/secrets/tls_key", join(folder, "key.pem"));
  await Bun.write(join(folder, "dynamic.yml"), text);
  const entrance = freePort();
  await serveTraefik(folder, (port) => [
    ...[`--entrypoints.ping.address=127.0.0.1:${port}`, "--ping=true", "--ping.entrypoint=ping"],
    `--entrypoints.websecure.address=127.0.0.1:${entrance}`,
  ]);
  return `https://127.0.0.1:${entrance}`;
}
