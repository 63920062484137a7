/**
 * Images and containers without a container engine being set up: buildah builds in a chroot from a Debian tree that
 * debootstrap made, podman runs with runc. Everything they keep lies in .cache/containers, which may be deleted when nothing
 * runs. Needs root and Linux.
 */
import { existsSync } from "node:fs";
import { copyFile, mkdir, realpath, rm } from "node:fs/promises";
import { join, resolve } from "node:path";

const HOME = resolve(".cache/containers");
export const BASE = "localhost/rendiff-base:bookworm";
const SUITE = "bookworm";
/** What a proxy that looks into TLS made its certificates with, where this machine is told of one. */
const CERTIFICATES = Bun.env.SSL_CERT_FILE ?? Bun.env.NODE_EXTRA_CA_CERTS ?? null;

const CONFIG = `[containers]
# A machine that is a container itself may not raise them.
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[network]
network_backend = "netavark"
network_config_dir = "${HOME}/networks"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
`;

export class CommandFailed extends Error {}

export interface Ran {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Its output is kept; it is killed when `signal` fires. */
export async function tryRun(
  argv: readonly string[],
  options: { env?: object; signal?: AbortSignal } = {},
): Promise<Ran> {
  const child = Bun.spawn([...argv], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...Bun.env, CONTAINERS_CONF: join(HOME, "containers.conf"), ...options.env },
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { exitCode: await child.exited, stdout, stderr };
}

/** What it printed; throws with the end of its output when it failed. */
export async function run(...argv: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await tryRun(argv);
  if (exitCode === 0) return stdout.trim();
  const tail = `${stdout}${stderr}`.trim().split("\n").slice(-25).join("\n");
  throw new CommandFailed(`${argv.slice(0, 8).join(" ")} ended with ${exitCode}:\n${tail}`);
}

const store = ["--root", join(HOME, "storage"), "--runroot", join(HOME, "run"), "--storage-driver", "overlay"];
export const PODMAN = ["podman", ...store] as const;
export const podman = (...args: readonly string[]): Promise<string> => run(...PODMAN, ...args);
export const buildah = (...args: readonly string[]): Promise<string> => run("buildah", ...store, ...args);

export const hasImage = async (name: string): Promise<boolean> =>
  (await tryRun(["buildah", ...store, "inspect", "--type", "image", name])).exitCode === 0;

/** `folder` as the only layer of an image. */
async function commitFolder(folder: string, name: string): Promise<void> {
  const container = await buildah("from", "scratch");
  try {
    await buildah("add", "--quiet", container, folder, "/");
    await buildah("commit", "--quiet", container, name);
  } finally {
    await buildah("rm", container);
  }
}

export async function prepareContainers(): Promise<void> {
  if (process.platform !== "linux" || process.getuid?.() !== 0)
    throw new Error("Containers are built as root on Linux.");
  await mkdir(join(HOME, "networks"), { recursive: true });
  await Bun.write(join(HOME, "containers.conf"), CONFIG);
}

/** Debian's smallest tree under the name that the Dockerfile's base image takes here; made once. */
export async function makeBase(): Promise<void> {
  if (await hasImage(BASE)) return;
  const tree = join(HOME, SUITE);
  await rm(tree, { recursive: true, force: true });
  await run("debootstrap", "--variant=minbase", SUITE, tree);
  await rm(join(tree, "var/cache/apt"), { recursive: true, force: true });
  await commitFolder(tree, BASE);
  await rm(tree, { recursive: true, force: true });
}

/** The Bun that runs this, where the Dockerfile's image of Bun has it. */
async function makeBunImage(): Promise<string> {
  const name = `localhost/rendiff-bun:${Bun.version}`;
  if (await hasImage(name)) return name;
  const tree = join(HOME, "bun");
  const target = join(tree, "usr/local/bin/bun");
  await mkdir(join(tree, "usr/local/bin"), { recursive: true });
  await copyFile(await realpath(process.execPath), target);
  await commitFolder(tree, name);
  await rm(tree, { recursive: true, force: true });
  return name;
}

/** Arguments that show a build this machine's certificates, without their getting into the image. */
function certificateArgs(): string[] {
  if (CERTIFICATES === null || !existsSync(CERTIFICATES)) return [];
  const inside = "/run/build-certificates.crt";
  const names = ["PIP_CERT", "NODE_EXTRA_CA_CERTS"].flatMap((name) => ["--build-arg", `${name}=${inside}`]);
  return [...names, "--volume", `${CERTIFICATES}:${inside}:ro`];
}

/** Builds `file` in `context`; steps that did not change come from the cache. */
export async function buildImage(name: string, context: string, args: readonly string[] = []): Promise<void> {
  const options = ["--isolation", "chroot", "--format", "docker", "--pull-never", "--layers", "--tag", name];
  await buildah("bud", ...options, ...args, context);
}

/** The product's image by its own Dockerfile, under `name`. */
export async function buildProduct(name: string): Promise<void> {
  await makeBase();
  const bun = await makeBunImage();
  const bases = ["--build-arg", `BASE_IMAGE=${BASE}`, "--build-arg", `BUN_IMAGE=${bun}`];
  // A checkout that was copied, or a machine without git, has none.
  const revision = await run("git", "rev-parse", "HEAD").catch(() => "unknown");
  await buildImage(name, ".", [...bases, ...certificateArgs(), "--build-arg", `REVISION=${revision}`]);
}

/**
 * Takes away what earlier builds have left: layers of no image that has a name. Those of the last day stay, since the next
 * build begins with them, the stages that are in no image included.
 */
export async function pruneLayers(): Promise<void> {
  await podman("image", "prune", "--force", "--filter", "until=24h");
}

export async function imageBytes(name: string): Promise<number> {
  return Number(await podman("image", "inspect", "--format", "{{.Size}}", name));
}
