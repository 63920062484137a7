/**
 * Real object stores on free loopback ports, with their files in a folder of the test file's own. They start when a test
 * asks for them; each dies with the process that started it.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { afterFile } from "./cleanup.ts";
import { testEnv } from "./env.ts";
import { type Program, serve, type TestServer, wrapped } from "./servers.ts";
import { makeTempDir } from "./temp-dir.ts";

export type StoreName = "rclone" | "minio" | "azurite" | "fake-gcs";

export const ACCESS_KEY = "rendiff-test-key";
export const SECRET_KEY = "rendiff-test-secret";
/** Azurite's own, which is public. */
const AZURITE_ACCOUNT = "devstoreaccount1";
const AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

const program = (name: string): string => join(testEnv().stores, "bin", name);

type Starter = (folder: string) => Program;

const url = (port: number): string => `http://127.0.0.1:${port}`;

const PROGRAMS: Readonly<Record<StoreName, Starter>> = {
  rclone: (folder) => ({
    name: "rclone serve s3",
    argv: (port) =>
      wrapped(
        [
          ...[program("rclone"), "serve", "s3", "--config", "/dev/null", "--addr", `127.0.0.1:${port}`],
          ...["--auth-key", `${ACCESS_KEY},${SECRET_KEY}`, "--vfs-cache-mode", "off", folder],
        ],
        false,
      ),
    url,
    readyLine: "Starting s3 server on",
    stopSignal: "SIGTERM",
    env: { HOME: folder },
  }),
  minio: (folder) => ({
    name: "MinIO",
    argv: (port) => wrapped([program("minio"), "server", "--address", `127.0.0.1:${port}`, folder], false),
    url,
    readyLine: "API: ",
    stopSignal: "SIGTERM",
    env: { MINIO_ROOT_USER: ACCESS_KEY, MINIO_ROOT_PASSWORD: SECRET_KEY, MINIO_BROWSER: "off", HOME: folder },
  }),
  azurite: (folder) => ({
    name: "Azurite",
    argv: (port) =>
      wrapped(
        [
          ...[process.execPath, join(testEnv().stores, "azurite/node_modules/azurite/dist/src/blob/main.js")],
          ...["--blobHost", "127.0.0.1", "--blobPort", `${port}`, "--location", folder],
          ...["--disableTelemetry", "--skipApiVersionCheck", "--silent"],
        ],
        false,
      ),
    url: (port) => `http://127.0.0.1:${port}/${AZURITE_ACCOUNT}`,
    readyLine: "successfully listens on",
    stopSignal: "SIGTERM",
  }),
  // Its folder would be no home for every name that is one.
  "fake-gcs": () => ({
    name: "fake-gcs-server",
    argv: (port) =>
      wrapped(
        [
          ...[program("fake-gcs-server"), "-scheme", "http", "-host", "127.0.0.1", "-port", `${port}`],
          ...["-backend", "memory", "-external-url", url(port)],
        ],
        false,
      ),
    url,
    readyLine: "server started at",
    stopSignal: "SIGTERM",
  }),
};

/** `folder` holds what it stores. */
type TestStore = TestServer & { readonly folder: string };

const started = new Map<StoreName, Promise<TestStore>>();

async function start(name: StoreName): Promise<TestStore> {
  const folder = join(await makeTempDir(name), "data");
  await mkdir(folder, { recursive: true });
  const server = await serve(PROGRAMS[name](folder));
  afterFile(async () => {
    started.delete(name);
    await server.stop();
  });
  return Object.assign(server, { folder });
}

/** One server a test file; stopped after it. */
export function startStore(name: StoreName): Promise<TestStore> {
  const server = started.get(name) ?? start(name);
  started.set(name, server);
  return server;
}

export function azureConnectionString(endpoint: string): string {
  return `DefaultEndpointsProtocol=http;AccountName=${AZURITE_ACCOUNT};AccountKey=${AZURITE_KEY};BlobEndpoint=${endpoint};`;
}
