/** What operations name besides the input: opened by a job under the same rules, through the API. */
import { beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type Api, type ApiError, makeApi } from "../support/api.ts";
import { afterFile } from "../support/cleanup.ts";
import { copyClip } from "../support/media.ts";
import { makeKey, makeSite, runCommand, type Site, startServer } from "../support/server.ts";

const SRT = "1\n00:00:00,200 --> 00:00:00,700\nA line.\n";
const LOGO = { container: "png", video: { width: 20, height: 10, source: "color=red" } };

let site: Site;
let api: Api;

beforeAll(async () => {
  site = await makeSite("embedded");
  await copyClip(join(site.storage, "film.mp4"), { video: { width: 160, height: 120 } });
  await copyClip(join(site.storage, "logo.png"), LOGO);
  await Bun.write(join(site.storage, "lines.srt"), SRT);
  await Bun.write(join(site.storage, "playlist.srt"), "#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n");
  const key = await makeKey(site);
  const server = await startServer(site);
  afterFile(async () => {
    await server.stop();
  });
  api = makeApi(server.url, key);
}, 60_000);

const job = (operations: readonly object[], output = "out.mp4") => ({ input: "film.mp4", output, operations });
const all = [
  { type: "watermark", image: "local://logo.png" },
  { type: "text", text: "it's %{n}" },
  { type: "subtitle", path: "lines.srt" },
  { type: "subtitle", path: "lines.srt", mode: "embed", language: "en" },
];

describe("an operation's own inputs", () => {
  test("a job takes them all, and a dry run shows what it will do", async () => {
    const done = await api.completed(job(all));
    const [output] = await api.outputs(done.id);
    const streams = (output?.media as { streams?: { codec: string }[] } | undefined)?.streams ?? [];
    expect(streams.map(({ codec }) => codec)).toEqual(["h264", "mov_text"]);
    const planned = await api.call<{ files: { file: string }[] }>("POST", "/convert?dry_run=true", job(all));
    expect(planned.body.files.map(({ file }) => file)).toEqual([
      ...["text/0.txt", "text/captions-2.ass", "fonts/text.ttf", "text/captions-3.srt"],
    ]);
  }, 60_000);

  test("what is missing, no caption or no picture fails by name, and is read by nobody else", async () => {
    const gone = await api.failed(job([{ type: "watermark", image: "none.png" }]));
    expect(gone.kind).toBe("input.not_found");
    const list = await api.failed(job([{ type: "subtitle", path: "playlist.srt" }]));
    expect(list.kind).toBe("input.unreadable");
    const text = await api.failed(job([{ type: "watermark", image: "lines.srt" }]));
    expect(text.kind).toMatch(/^input\./);
  }, 60_000);

  test("one is never the output, and lies in a known place", async () => {
    const refused = async (body: object) => {
      const { status, body: answer } = await api.call<ApiError>("POST", "/convert", body);
      return [status, answer.error.details?.[0]?.path];
    };
    const mark = (image: string) => [{ type: "watermark", image }];
    expect(await refused(job(mark("logo.png"), "logo.png"))).toEqual([400, "output_path"]);
    expect(await refused(job(mark("nowhere://logo.png")))).toEqual([expect.any(Number), "operations[0].image"]);
    expect(await refused(job(mark("../../etc/passwd")))).toEqual([400, "operations[0].image"]);
  });

  test("rendiff convert takes them by their paths", async () => {
    const words = ["convert", "film.mp4", join(site.folder, "cli.mp4"), "--operations", JSON.stringify(all.slice(1))];
    const { exitCode, stderr } = await runCommand(words, { cwd: site.storage, env: site.env });
    expect([exitCode, exitCode === 0 ? "" : stderr]).toEqual([0, ""]);
  }, 60_000);
});
