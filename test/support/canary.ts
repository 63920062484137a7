/**
 * What hostile media and hostile parameters are after: files outside of any job's reach that notice being read, and a
 * listener that counts who connects.
 */
import { copyFile, mkdir, stat, utimes } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterFile } from "./cleanup.ts";
import { makeClip } from "./media.ts";
import { makeTempDir } from "./temp-dir.ts";

export interface Canary {
  /** Absolute, without a slash at the end; holds the files. */
  readonly folder: string;
  readonly film: string;
  readonly picture: string;
  readonly text: string;
  /** Sixteen bytes. */
  readonly key: string;
  /** A file that something may write, and nothing should. */
  readonly written: string;
  readonly port: number;
  /** What has happened since the last call, as words; empty when nothing has. */
  touched(): Promise<string[]>;
}

const LONG_AGO = new Date("2001-01-01T00:00:00Z");
/** In every canary file that is text, and in no output. */
export const CANARY_WORDS = "canary-7f3a";

/** On this machine's loopback; hangs up at once. */
export async function listenForConnections(): Promise<{ readonly port: number; connections(): number }> {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  afterFile(() => void server.close());
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The canary's listener has no port.");
  return { port: address.port, connections: () => connections };
}

export async function makeCanary(): Promise<Canary> {
  const folder = join(await makeTempDir("canary"), "secret");
  await mkdir(folder);
  const [film, picture, text, key] = ["canary.ts", "canary.png", "canary.txt", "canary.key"].map((one) =>
    join(folder, one),
  ) as [string, string, string, string];
  await copyFile(await makeClip({ container: "ts", video: { source: "color=magenta" } }), film);
  await copyFile(await makeClip({ container: "png", video: { source: "color=magenta" } }), picture);
  await Bun.write(text, CANARY_WORDS.repeat(20));
  await Bun.write(key, CANARY_WORDS.padEnd(16, "0").slice(0, 16));
  const files = [film, picture, text, key];
  const written = join(folder, "written");
  const { port, connections } = await listenForConnections();
  let told = 0;
  const reset = async () => {
    told = connections();
    // Also where times of reading are kept only when they are older than those of writing.
    for (const file of files) await utimes(file, LONG_AGO, new Date());
  };
  await reset();
  const touched = async (): Promise<string[]> => {
    const found = connections() === told ? [] : [`${connections() - told} connections`];
    for (const file of files) if ((await stat(file)).atime.getTime() !== LONG_AGO.getTime()) found.push(`read ${file}`);
    if (await Bun.file(written).exists()) {
      found.push(`wrote ${written}`);
      await Bun.file(written).delete();
    }
    await reset();
    return found;
  };
  return { folder, film, picture, text, key, written, port, touched };
}
