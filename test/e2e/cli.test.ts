/** The command line, as people and scripts use it. */
import { beforeAll, describe, expect, test } from "bun:test";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { copyClip } from "../support/media.ts";
import { createDatabase } from "../support/postgres.ts";
import { mediaProcessesWith } from "../support/processes.ts";
import { type CommandResult, makeSite, runCommand, startCommand, startServer } from "../support/server.ts";
import { freePort } from "../support/servers.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";
import { ffprobe, SLOW_CLIP } from "./harness.ts";

const COMMANDS = [
  "serve",
  "migrate",
  "keys",
  "convert",
  "probe",
  "doctor",
  "health",
  "openapi",
  "version",
  "export",
  "import",
];
let folder = "";
let temp = "";

beforeAll(async () => {
  folder = await makeTempDir("cli");
  temp = await makeTempDir("cli-tmp");
  await copyClip(join(folder, "in.mov"), { container: "mov", video: {}, audio: { channels: 2 } });
});

const rendiff = (...args: string[]): Promise<CommandResult> =>
  runCommand(args, { cwd: folder, env: { TMPDIR: temp, DATA_DIR: join(folder, "data") } });

describe("rendiff", () => {
  test("version", async () => {
    const { version } = await Bun.file(join(import.meta.dir, "../../package.json")).json();
    expect(await rendiff("version")).toEqual({ exitCode: 0, stdout: `${version}\n`, stderr: "" });
    expect((await rendiff("--version")).stdout).toBe(`${version}\n`);
  });

  test("--help names every command, and each has its own", async () => {
    const { exitCode, stdout } = await rendiff("--help");
    expect(exitCode).toBe(0);
    for (const command of COMMANDS) expect(stdout).toContain(`  ${command}`);
    for (const command of [...COMMANDS.map((name) => [name]), ["keys", "create"], ["keys", "list"]]) {
      const help = await rendiff(...command, "--help");
      expect([command, help.exitCode]).toEqual([command, 0]);
      expect(help.stdout).toContain(`Usage: rendiff ${command.join(" ")}`);
    }
  });

  test("an unknown command or option is a usage error", async () => {
    for (const args of [["transmogrify"], ["convert", "in.mov", "out.mp4", "--crv", "3"], ["convert", "in.mov"]]) {
      const { exitCode, stderr } = await rendiff(...args);
      expect([args, exitCode]).toEqual([args, 64]);
      expect(stderr).toMatch(/^error: /m);
    }
  });

  test("openapi is a document of every route", async () => {
    const { exitCode, stdout } = await rendiff("openapi");
    expect(exitCode).toBe(0);
    const document = JSON.parse(stdout) as { openapi: string; paths: Record<string, unknown> };
    expect(document.openapi).toMatch(/^3\./);
    for (const path of ["/convert", "/jobs", "/jobs/{id}", "/jobs/{id}/events", "/probe"]) {
      expect(Object.keys(document.paths)).toContain(`/api/v1${path}`);
    }
  });

  test("probe prints what a file holds, and fails in a sentence for what is none", async () => {
    const { exitCode, stdout } = await rendiff("probe", "in.mov");
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ streams: [{ kind: "video", codec: "h264" }, { kind: "audio" }] });
    await Bun.write(join(folder, "text.mp4"), "no video\n");
    const bad = await rendiff("probe", "text.mp4");
    expect(bad.exitCode).toBe(1);
    expect(bad.stderr).toMatch(/^error: .+ \[input\.[a-z]+\]/);
    expect((await rendiff("probe", "nowhere.mp4")).exitCode).toBe(1);
  });

  test("doctor says what works here", async () => {
    const { exitCode, stdout } = await rendiff("doctor");
    expect(exitCode).toBe(0);
    for (const what of ["FFmpeg", "ffprobe", "sandbox", "storage", "database"]) expect(stdout).toContain(what);
  });

  test("health asks the server, and fails where there is none", async () => {
    const down = await rendiff("health", "--url", `http://127.0.0.1:${freePort()}`);
    expect([down.exitCode, down.stderr]).toEqual([1, expect.stringContaining("No Rendiff answers")]);
    await using server = await startServer(await makeSite("embedded"));
    const up = await rendiff("health", "--url", server.url);
    expect([up.exitCode, JSON.parse(up.stdout)]).toEqual([0, expect.objectContaining({ status: "healthy" })]);
  });

  test("migrate brings a database up to date, and --check says whether it is", async () => {
    await using database = await createDatabase();
    const migrate = (...args: string[]) =>
      runCommand(["migrate", ...args], { cwd: folder, env: { DATABASE_URL: database.url } });
    expect((await migrate("--check")).exitCode).toBe(1);
    expect((await migrate()).exitCode).toBe(0);
    expect((await migrate("--check")).exitCode).toBe(0);
    expect((await migrate()).exitCode).toBe(0);
  });

  test("export and import move an embedded database to Postgres, and say what they moved", async () => {
    await rendiff("keys", "create", "--name", "moved");
    const done = await rendiff("export", "all.archive", "--json");
    expect(done).toMatchObject({ exitCode: 0, stderr: "" });
    expect((await stat(join(folder, "all.archive"))).mode & 0o777).toBe(0o600);
    expect(await rendiff("export", "all.archive")).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining("is there already"),
    });
    expect((await rendiff("import", "--check", "all.archive")).stdout).toContain("Whole, of version");
    await using database = await createDatabase();
    const onPostgres = (...args: string[]) => runCommand(args, { cwd: folder, env: { DATABASE_URL: database.url } });
    const moved = await onPostgres("import", "all.archive", "--json");
    expect([moved.exitCode, JSON.parse(moved.stdout)]).toEqual([0, JSON.parse(done.stdout)]);
    expect((await onPostgres("keys", "list")).stdout).toContain("moved");
    expect((await onPostgres("import", "all.archive")).stderr).toMatch(/not empty.+\[request\.conflict\]/);
    expect((await rendiff("import", "nowhere")).stderr).toContain("There is no file nowhere");
    expect((await readdir(folder)).filter((name) => name.includes("unfinished"))).toEqual([]);
    const nothing = await runCommand(["export", "none"], { cwd: folder, env: { DATA_DIR: join(folder, "nothing") } });
    expect([nothing.exitCode, nothing.stderr]).toEqual([1, expect.stringContaining("no embedded database")]);
  });

  test("keys create, list and revoke", async () => {
    const shares = ["--rate-limit", "5", "--weight", "0.5", "--max-concurrent-jobs", "3"];
    const create = await rendiff("keys", "create", "--json", "--role", "readonly", ...shares);
    const { id, key } = JSON.parse(create.stdout) as { id: string; key: string };
    expect(key).toStartWith("rnd_");
    const list = await rendiff("keys", "list", "--json");
    const kept = (JSON.parse(list.stdout) as { id: string }[]).find((one) => one.id === id);
    expect(kept).toMatchObject({ rateLimitPerMinute: 5, weight: 0.5, maxConcurrentJobs: 3 });
    expect(list.stdout).not.toContain(key);
    expect((await rendiff("keys", "revoke", id)).exitCode).toBe(0);
    expect((await rendiff("keys", "list")).stdout).toContain("revoked");
    expect((await rendiff("keys", "create", "--role", "emperor")).exitCode).toBe(1);
    expect((await rendiff("keys", "create", "--weight", "0")).exitCode).toBe(1);
  });
});

describe("rendiff convert", () => {
  test("converts with its options, and says what came out", async () => {
    const codec = ["--video-codec", "h265", "--crf", "28", "--preset", "ultrafast", "--width", "128", "--height", "96"];
    const { exitCode, stdout, stderr } = await rendiff(
      "convert",
      "in.mov",
      "out.mp4",
      ...codec,
      "--audio-codec",
      "aac",
    );
    expect([exitCode, stderr.includes("error")]).toEqual([0, false]);
    expect(stdout).toContain("out.mp4");
    expect(stderr).toContain("encoding");
    const { streams } = ffprobe(join(folder, "out.mp4"));
    expect(streams).toMatchObject([{ codec_name: "hevc", width: 128, height: 96 }, { codec_name: "aac" }]);
    expect(await readdir(temp)).toEqual([]);
  });

  test("--json prints JSON alone; odd names and --start and --duration work", async () => {
    const name = "-odd 'näme'.mkv";
    const args = ["convert", "--json", "--start", "0.2", "--duration", "0.4", "--", "in.mov", name];
    const { exitCode, stdout } = await rendiff(...args);
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toBeObject();
    expect(Number(ffprobe(join(folder, name)).format.duration)).toBeLessThan(0.6);
  });

  test("fails with the classified error, and writes nothing", async () => {
    await Bun.write(join(folder, "garbage.mov"), new Uint8Array(10_000).fill(7));
    const bad = await rendiff("convert", "garbage.mov", "never.mp4");
    expect(bad.exitCode).toBe(1);
    expect(bad.stderr).toMatch(/error: .+ \[input\.(unreadable|unsupported)\]/);
    const missing = await rendiff("convert", "nowhere.mov", "never.mp4");
    expect([missing.exitCode, missing.stderr]).toEqual([1, expect.stringContaining("[input.not_found]")]);
    const same = await rendiff("convert", "in.mov", "in.mov");
    expect(same.exitCode).toBe(1);
    const crf = await rendiff("convert", "in.mov", "never.mp4", "--video-codec", "h264", "--crf", "99");
    expect([crf.exitCode, crf.stderr]).toEqual([1, expect.stringContaining("crf")]);
    expect(await Bun.file(join(folder, "never.mp4")).exists()).toBe(false);
  });

  test("--no-overwrite keeps what is there", async () => {
    await Bun.write(join(folder, "kept.mp4"), "precious");
    const { exitCode, stderr } = await rendiff("convert", "--no-overwrite", "in.mov", "kept.mp4");
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining("[output.exists]")]);
    expect(await Bun.file(join(folder, "kept.mp4")).text()).toBe("precious");
  });

  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    test(`${signal} ends FFmpeg and leaves nothing`, async () => {
      await copyClip(join(folder, "long.mp4"), SLOW_CLIP);
      const args = [
        "convert",
        "long.mp4",
        "stopped.mp4",
        "--video-codec",
        "h265",
        "--preset",
        "veryslow",
        "--crf",
        "1",
      ];
      const child = startCommand(args, { cwd: folder, env: { TMPDIR: temp } });
      await until(() => mediaProcessesWith(temp).some(({ commandLine }) => commandLine.includes("libx265")), {
        timeoutMs: 30_000,
        what: "FFmpeg to encode",
      });
      child.kill(signal);
      expect(await child.exited).toBe(130);
      expect(mediaProcessesWith(temp)).toEqual([]);
      expect(await readdir(temp)).toEqual([]);
      expect((await readdir(folder)).filter((name) => /stopped|rendiff-/.test(name))).toEqual([]);
      expect(await new Response(child.stderr).text()).toContain("Cancelled");
    });
  }
});
