/**
 * The template: an empty database as a compressed tar, so that a first start unpacks (0.1 s) instead of running initdb
 * (4 to 10 s). `./dev build` embeds it in the binary under its file name; a run from the sources makes it once into
 * `.cache/`; without either, initdb runs.
 */
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { PGlite } from "@electric-sql/pglite";
import { dependencies } from "../../../package.json";
import { loadAssets, loadInitdb } from "./assets.ts";

/** Changes with PGlite's version, since the files' format may. */
export const TEMPLATE_NAME = `pglite-template-${dependencies["@electric-sql/pglite"]}.tar.zst`;

/** The template that the binary carries, or null when run from the sources. */
export function embeddedTemplate(): Blob | null {
  const stem = TEMPLATE_NAME.slice(0, TEMPLATE_NAME.indexOf(".tar"));
  const found = Bun.embeddedFiles.find((file) => basename((file as File).name).startsWith(stem));
  return found ?? null;
}

/** Runs initdb into `folder`, which must not exist or be empty, and leaves a cleanly closed database there. */
export async function makeDatabase(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const database = await PGlite.create(folder, { ...(await loadAssets()), ...(await loadInitdb()) });
  await database.close();
}

/** Packs the database that `folder` holds; nobody may have it open. */
async function packDatabase(folder: string): Promise<Uint8Array> {
  const files = await PGlite.create(folder, { ...(await loadAssets()), noInitDb: true });
  const tar = await (await files.dumpDataDir("none")).arrayBuffer();
  return Bun.zstdCompress(new Uint8Array(tar), { level: 19 });
}

export async function unpackTemplate(template: Blob, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const tar = await Bun.zstdDecompress(await template.arrayBuffer());
  await new Bun.Archive(tar).extract(folder);
}

/** Makes `path` unless it is there; whoever comes second at the same time only does the work twice. */
export async function ensureTemplate(path: string): Promise<void> {
  if (await Bun.file(path).exists()) return;
  await mkdir(dirname(path), { recursive: true });
  const scratch = await mkdtemp(join(dirname(path), "template-"));
  try {
    await makeDatabase(join(scratch, "database"));
    const packed = join(scratch, basename(path));
    await Bun.write(packed, await packDatabase(join(scratch, "database")));
    await rename(packed, path);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
