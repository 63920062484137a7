/**
 * Run while the image is built, with the root of its file system: writes what the image holds (an SBOM in CycloneDX's form)
 * and under which licences, to `usr/share/rendiff`. Read from what is really there: the packages' own files, the programs'
 * own answers and Debian's records.
 */
import { cp, mkdir, readdir } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { z } from "zod";

interface Component {
  readonly type: "application" | "library";
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly licence: string;
}

const packageSchema = z.object({
  name: z.string(),
  version: z.string(),
  license: z.union([z.string(), z.object({ type: z.string() })]).optional(),
  dependencies: z.record(z.string(), z.string()).default({}),
});

type Package = z.output<typeof packageSchema> & { readonly folder: string };

async function readPackage(folder: string): Promise<Package | null> {
  const file = Bun.file(join(folder, "package.json"));
  if (!(await file.exists())) return null;
  return { ...packageSchema.parse(await file.json()), folder };
}

/** As a package finds it: in its own node_modules, then in those of the folders above. */
async function findPackage(name: string, from: string, root: string): Promise<Package | null> {
  for (let folder = from; folder.startsWith(root); folder = dirname(folder)) {
    const found = await readPackage(join(folder, "node_modules", name));
    if (found !== null) return found;
  }
  return null;
}

/** What the product depends on, and what that depends on; what is for one system only may be absent. */
async function productPackages(root: string): Promise<Package[]> {
  const own = await readPackage(root);
  if (own === null) throw new Error(`There is no package.json in ${root}.`);
  const found = new Map<string, Package>();
  const open = [own];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    for (const name of Object.keys(next.dependencies)) {
      const dependency = await findPackage(name, next.folder, root);
      if (dependency === null || found.has(dependency.folder)) continue;
      found.set(dependency.folder, dependency);
      open.push(dependency);
    }
  }
  return [...found.values()].sort((left, right) => (left.folder < right.folder ? -1 : 1));
}

const licenceOf = ({ license }: Package): string =>
  license === undefined ? "see its licence file" : typeof license === "string" ? license : license.type;

async function copyLicences({ folder, name, version }: Package, to: string): Promise<void> {
  const files = (await readdir(folder)).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file));
  for (const file of files) {
    await cp(join(folder, file), join(to, `${name.replace("/", "__")}-${version}`, file), { recursive: true });
  }
}

/** From the records that `assemble.sh` leaves. */
async function debianPackages(rootfs: string): Promise<Component[]> {
  const folder = join(rootfs, "var/lib/dpkg/status.d");
  const names = (await readdir(folder)).sort();
  return Promise.all(
    names.map(async (name) => {
      const text = await Bun.file(join(folder, name)).text();
      const field = (key: string) => new RegExp(`^${key}: (.*)$`, "m").exec(text)?.[1] ?? "";
      const [version, arch] = [field("Version"), field("Architecture")];
      const purl = `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${arch}&distro=bookworm`;
      return { type: "library", name, version, purl, licence: `see /usr/share/doc/${name}/copyright` } as const;
    }),
  );
}

function versionOf(program: string, args: readonly string[], pattern: RegExp): string {
  const { stdout, exitCode } = Bun.spawnSync([program, ...args], { stdin: "ignore", stderr: "ignore" });
  const version = pattern.exec(stdout.toString())?.[1];
  if (exitCode !== 0 || version === undefined) throw new Error(`${program} does not say its version.`);
  return version;
}

function programs(rootfs: string): Component[] {
  const at = (name: string) => join(rootfs, "usr/local/bin", name);
  const program = (name: string, version: string, licence: string): Component => ({
    ...{ type: "application", name, version, licence },
    purl: `pkg:generic/${name}@${encodeURIComponent(version)}`,
  });
  return [
    program("rendiff", versionOf(at("rendiff"), ["version"], /(\S+)/), "MIT"),
    program("bun", Bun.version, "MIT"),
    program("ffmpeg", versionOf(at("ffmpeg"), ["-version"], /version (\S+)/), "GPL-3.0-or-later"),
    program("ffprobe", versionOf(at("ffprobe"), ["-version"], /version (\S+)/), "GPL-3.0-or-later"),
    program("shaka-packager", versionOf(at("packager"), ["--version"], /version v?(\S+)/), "BSD-3-Clause"),
  ];
}

const NOTICE = `Rendiff is under the MIT licence (LICENSE in this folder).

The image carries further programs, each unchanged and under its own licence:

ffmpeg   GPL version 3 or later (/usr/share/common-licenses/GPL-3). Sources: https://ffmpeg.org; the build is the one
         that the Python package imageio-ffmpeg distributes, from https://github.com/BtbN/FFmpeg-Builds or its like.
ffprobe  GPL version 3 or later. Sources: https://ffmpeg.org; the build is the one that the npm package
         @ffprobe-installer distributes, from https://johnvansickle.com/ffmpeg/.
packager BSD (npm/shaka-packager-*). Sources: https://github.com/shaka-project/shaka-packager.
rendiff  contains Bun (MIT, with parts of WebKit under the LGPL version 2), https://github.com/oven-sh/bun, and the npm
         packages whose licences are in npm/.

Debian's packages have their licences in /usr/share/doc/*/copyright. sbom.cdx.json lists everything with its version.
`;

const toCycloneDx = (components: readonly Component[]) => ({
  bomFormat: "CycloneDX",
  specVersion: "1.5",
  version: 1,
  metadata: { component: { type: "container", name: "rendiff", version: components[0]?.version ?? "" } },
  components: components.map(({ licence, ...rest }) => ({
    ...rest,
    "bom-ref": rest.purl,
    licenses: [{ license: { name: licence } }],
  })),
});

async function main(rootfs: string): Promise<void> {
  const target = join(rootfs, "usr/share/rendiff");
  const licences = join(target, "licences");
  await mkdir(join(licences, "npm"), { recursive: true });
  const packages = await productPackages(resolve("."));
  await Promise.all(packages.map((one) => copyLicences(one, join(licences, "npm"))));
  await cp("LICENSE", join(licences, "LICENSE"));
  await Bun.write(join(licences, "NOTICE"), NOTICE);
  const npm = packages.map(
    (one): Component => ({
      ...{ type: "library", name: one.name, version: one.version, licence: licenceOf(one) },
      purl: `pkg:npm/${one.name.replace("@", "%40")}@${one.version}`,
    }),
  );
  const components = [...programs(rootfs), ...npm, ...(await debianPackages(rootfs))];
  await Bun.write(join(target, "sbom.cdx.json"), `${JSON.stringify(toCycloneDx(components), null, 2)}\n`);
  console.log(`${components.length} components in the SBOM`);
}

const [rootfs] = process.argv.slice(2);
if (rootfs === undefined) {
  console.error("Usage: bun scripts/image-notices.ts ROOT");
  process.exit(64);
}
await main(resolve(rootfs));
