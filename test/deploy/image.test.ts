/** The image's recipe, held against the project it is made from. `./dev image` builds and runs it. */
import { describe, expect, test } from "bun:test";
import { join, resolve } from "node:path";
import { z } from "zod";
import { isSettingName } from "../../src/config/schema.ts";
import { VERSION } from "../../src/version.ts";
import { testEnv } from "../support/env.ts";

const dockerfile = await Bun.file("Dockerfile").text();
const packageSchema = z.looseObject({
  packageManager: z.string(),
  devDependencies: z.record(z.string(), z.string()),
});
const manifest = packageSchema.parse(await Bun.file("package.json").json());

/** The instructions of the last stage, continuation lines joined. */
const finalStage = dockerfile.slice(dockerfile.lastIndexOf("\nFROM ")).replaceAll("\\\n", " ");
const instruction = (name: string): string[] =>
  [...finalStage.matchAll(new RegExp(`^${name} (.*)$`, "gm"))].map(([, rest = ""]) => rest.trim());

describe("the Dockerfile", () => {
  test.each(["Dockerfile", "test/deploy/images/Dockerfile"])("has no finding of hadolint: %s", (file) => {
    const { exitCode, stdout, stderr } = Bun.spawnSync([join(testEnv().deploy, "bin/hadolint"), resolve(file)]);
    expect([exitCode, `${stdout}${stderr}`]).toEqual([0, ""]);
  });

  test("builds with the Bun, and under the version, of package.json", () => {
    expect(dockerfile).toContain(`ARG BUN_IMAGE=oven/${manifest.packageManager.replace("@", ":")}-slim`);
    expect(finalStage).toContain(`ARG VERSION=${VERSION}`);
  });

  test("ships the FFmpeg that the tests run, held to a hash for each architecture", async () => {
    const wanted = /ffmpeg9_package=(\S+)/.exec(await Bun.file("scripts/setup.sh").text())?.[1] ?? "none";
    const pinned = await Bun.file("deploy/image/ffmpeg.txt").text();
    expect(pinned).toContain(`${wanted} `);
    expect(pinned.match(/--hash=sha256:[0-9a-f]{64}/g)?.length).toBe(2);
  });

  test("finds a static ffprobe for each architecture", () => {
    const versions = ["x64", "arm64"].map((arch) => manifest.devDependencies[`@ffprobe-installer/linux-${arch}`]);
    expect(versions).toEqual([expect.any(String), versions[0]]);
  });

  test("finds a packager for each architecture, made for it", async () => {
    const machines = await Promise.all(
      ["x64", "arm64"].map(async (arch) => {
        const head = await Bun.file(`node_modules/shaka-packager/bin/packager-linux-${arch}`).slice(0, 20).bytes();
        return [...head.slice(1, 4), head[18]];
      }),
    );
    // "ELF", and x86-64 and AArch64 by their numbers there.
    expect(machines).toEqual([62, 183].map((machine) => [0x45, 0x4c, 0x46, machine]));
  });

  test("runs as nobody in particular, with one volume, a health check and a signal that drains", () => {
    expect(instruction("USER")).toEqual(["10001:10001"]);
    expect(instruction("VOLUME")).toEqual(['["/data"]']);
    expect(instruction("HEALTHCHECK")).toEqual([expect.stringContaining('CMD ["rendiff", "health"]')]);
    expect(instruction("STOPSIGNAL")).toEqual(["SIGTERM"]);
    expect(instruction("EXPOSE")).toEqual(["8000"]);
  });

  test("sets nothing that is no setting", () => {
    const names = instruction("ENV").flatMap((line) => [...line.matchAll(/(\w+)=/g)].map(([, name = ""]) => name));
    expect(names).toContain("SANDBOX");
    expect(names.filter((name) => name !== "PATH" && !isSettingName(name))).toEqual([]);
  });

  test("takes from the folder what it names, so that no secret of it gets in", async () => {
    const [first, ...rest] = (await Bun.file(".dockerignore").text())
      .split("\n")
      .filter((line) => !/^(#|$)/.test(line));
    expect(first).toBe("*");
    expect(rest.filter((line) => line.startsWith("!")).join(" ")).not.toMatch(/\.env|\.git|data|node_modules|\*/);
  });
});

describe("the seccomp profile", () => {
  const ruleSchema = z.strictObject({
    names: z.array(z.string()),
    action: z.literal("SCMP_ACT_ALLOW"),
    comment: z.string(),
    args: z.array(z.strictObject({ index: z.number(), value: z.number(), op: z.literal("SCMP_CMP_EQ") })).optional(),
  });
  const profileSchema = z.strictObject({
    defaultAction: z.literal("SCMP_ACT_ERRNO"),
    defaultErrnoRet: z.number(),
    archMap: z.array(z.looseObject({ architecture: z.string() })),
    syscalls: z.array(ruleSchema),
  });

  test("allows what bubblewrap needs and none of what only an attack does", async () => {
    const profile = profileSchema.parse(await Bun.file("deploy/seccomp/rendiff.json").json());
    const allowed = new Set(profile.syscalls.flatMap(({ names }) => names));
    for (const name of ["clone", "mount", "pivot_root", "umount2", "unshare"]) expect(allowed).toContain(name);
    const attacks = [
      "bpf",
      "io_uring_setup",
      "kexec_load",
      "keyctl",
      "add_key",
      "init_module",
      "finit_module",
      "ptrace",
    ];
    const more = [
      "perf_event_open",
      "process_vm_writev",
      "setns",
      "swapon",
      "userfaultfd",
      "reboot",
      "open_by_handle_at",
    ];
    expect([...attacks, ...more].filter((name) => allowed.has(name))).toEqual([]);
    const families = profile.syscalls
      .filter(({ names }) => names.includes("socket"))
      .map(({ args }) => args?.[0]?.value);
    expect(families).toEqual([1, 2, 10, 16]);
  });
});
