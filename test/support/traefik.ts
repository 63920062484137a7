/** Traefik with one certificate, on loopback ports: what it says of that certificate to Prometheus. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterFile } from "./cleanup.ts";
import { serve, type TestServer, wrapped } from "./servers.ts";
import { makeTempDir } from "./temp-dir.ts";

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

export async function startTraefik(validDays: number): Promise<Traefik> {
  const program = existsSync(CACHED) ? CACHED : Bun.which("traefik");
  if (program === null) throw new Error("Traefik is not here: ./dev test --long installs it.");
  const folder = await makeTempDir("traefik");
  makeCertificate(folder, validDays);
  const files = { certFile: join(folder, "cert.pem"), keyFile: join(folder, "key.pem") };
  await Bun.write(join(folder, "dynamic.yml"), JSON.stringify({ tls: { certificates: [files] } }));
  const server: TestServer = await serve({
    name: "Traefik",
    argv: (port) =>
      wrapped(
        [
          ...[program, `--entrypoints.traefik.address=127.0.0.1:${port}`, "--metrics.prometheus=true"],
          ...[
            "--entrypoints.websecure.address=127.0.0.1:0",
            `--providers.file.filename=${join(folder, "dynamic.yml")}`,
          ],
          ...["--global.checknewversion=false", "--global.sendanonymoususage=false", "--log.level=INFO"],
        ],
        false,
      ),
    url: (port) => `http://127.0.0.1:${port}`,
    readyLine: "Starting provider *file.Provider",
    stopSignal: "SIGTERM",
  });
  afterFile(() => server.stop());
  return {
    address: new URL(server.url).host,
    async renew(days) {
      makeCertificate(folder, days);
      await server.stop();
      await server.restart();
    },
  };
}
