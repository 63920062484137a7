/** Uploads with curl: at once, by tus in parts, and taken up again after kill -9 of the server. */
import { describe, expect, test } from "bun:test";
import { readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeApi } from "../support/api.ts";
import { makeClip } from "../support/media.ts";
import { makeKey, makeSite, PROFILES, type Site, startServer } from "../support/server.ts";
import { until } from "../support/until.ts";

interface Curl {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

interface Caller {
  readonly url: string;
  readonly key: string;
}

const TUS = ["-H", "Tus-Resumable: 1.0.0"];
const BYTES = ["-H", "Content-Type: application/offset+octet-stream"];

function startCurl({ url, key }: Caller, path: string, args: readonly string[]) {
  const target = path.startsWith("http") ? path : `${url}/api/v1${path}`;
  const words = ["curl", "-s", "-i", "-H", `X-API-Key: ${key}`, "-H", "Expect:", ...args, target];
  return Bun.spawn(words, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
}

async function curl(caller: Caller, path: string, args: readonly string[]): Promise<Curl> {
  const child = startCurl(caller, path, args);
  const text = await new Response(child.stdout).text();
  const [head = "", ...rest] = text.split("\r\n\r\n");
  const [first = "", ...lines] = head.split("\r\n");
  const headers = new Headers(lines.map((line) => line.split(/: (.*)/s).slice(0, 2) as [string, string]));
  return { status: Number(first.split(" ")[1]), headers, body: rest.join("\r\n\r\n") };
}

const SCALE = [{ type: "scale", width: 32, height: 24 }];
const fileOf = ({ storage }: Site, at: string): string =>
  join(storage, ".rendiff/uploads", at.slice(at.lastIndexOf("/") + 1));

for (const profile of [...PROFILES, "cluster"] as const) {
  describe(`uploads (${profile})`, () => {
    test("by one PUT: what it is is found out, a job reads it, another key does not see it", async () => {
      const site = await makeSite(profile);
      const [key, other] = [await makeKey(site), await makeKey(site)];
      await using server = await startServer(site);
      const caller = { url: server.url, key };
      const clip = await makeClip({ durationSeconds: 1, video: { width: 64, height: 48 } });
      const { status, body } = await curl(caller, "/uploads/holiday.bin", ["-T", clip]);
      const upload = JSON.parse(body) as { uri: string; media_type: string; bytes: number; links: { self: string } };
      expect([status, upload.media_type]).toEqual([201, "video/mp4"]);
      const api = makeApi(server.url, key);
      const job = await api.completed({ input: upload.uri, output: "out.mp4", operations: SCALE });
      expect(job.input_path).toBe(upload.uri);
      expect((await curl({ ...caller, key: other }, upload.links.self, [])).status).toBe(404);
      expect((await curl(caller, upload.links.self, ["-X", "DELETE", ...TUS])).status).toBe(204);
      expect(await readdir(join(site.storage, ".rendiff/uploads"))).toEqual([]);
    }, 60_000);

    test("by tus, killed in the middle: nothing that was written is lost, and the rest follows", async () => {
      const site = await makeSite(profile);
      const key = await makeKey(site);
      const clip = await makeClip({ durationSeconds: 1, video: { width: 64, height: 48 } });
      // Room behind the film for a transfer that takes a while; a demuxer does not mind.
      const bytes = Buffer.concat([await Bun.file(clip).bytes(), boxOf(3_000_000)]);
      const source = join(site.folder, "source.mp4");
      await writeFile(source, bytes);
      let server = await startServer(site);
      let caller = { url: server.url, key };
      const begun = await curl(caller, "/uploads", ["-X", "POST", ...TUS, "-H", `Upload-Length: ${bytes.length}`]);
      expect(begun.status).toBe(201);
      const id = (JSON.parse(begun.body) as { id: string }).id;
      const rest = join(site.folder, "rest");
      await writeFile(rest, bytes.subarray(0, 4));
      const start = [...TUS, ...BYTES, "-H", "Upload-Offset: 0"];
      const first = await curl(caller, `/uploads/${id}`, [...start, "-X", "PATCH", "-T", rest]);
      expect([first.status, first.headers.get("upload-offset")]).toEqual([204, "4"]);
      const send = async (offset: number, limit: readonly string[]) => {
        await writeFile(rest, bytes.subarray(offset));
        const range = [...TUS, ...BYTES, "-H", `Upload-Offset: ${offset}`];
        return startCurl(caller, `/uploads/${id}`, [...range, ...limit, "-X", "PATCH", "-T", rest]);
      };
      const size = async (): Promise<number> => (await stat(fileOf(site, id))).size;
      const sending = await send(4, ["--limit-rate", "600k"]);
      await until(async () => (await size()) > 500_000, { timeoutMs: 20_000 });
      await server.kill();
      await sending.exited;
      const written = await size();
      server = await startServer(site);
      caller = { url: server.url, key };
      const head = await curl(caller, `/uploads/${id}`, ["-I", ...TUS]);
      expect([head.status, head.headers.get("upload-offset")]).toEqual([200, String(written)]);
      const text = await new Response((await send(written, [])).stdout).text();
      expect(text).toStartWith("HTTP/1.1 204");
      expect(Buffer.compare(await Bun.file(fileOf(site, id)).bytes(), bytes)).toBe(0);
      const job = await makeApi(server.url, key).completed({
        ...{ input: `upload://${id}`, output: "out.mp4", operations: SCALE },
      });
      expect(job.outputs).toHaveLength(1);
      await server.stop();
    }, 90_000);
  });
}

/** An MP4's box of nothing. */
function boxOf(size: number): Buffer {
  const box = Buffer.alloc(size);
  box.writeUInt32BE(size, 0);
  box.write("free", 4, "latin1");
  return box;
}
