/** The sandbox on this machine: what hostile media could reach if it took FFmpeg over. */
import { describe, expect, test } from "bun:test";
import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { findHostTools } from "../../src/process/host.ts";
import { makeProcessRunner } from "../../src/process/runner.ts";
import { listenForConnections } from "../support/canary.ts";
import { testEnv } from "../support/env.ts";
import { testUnless } from "../support/gated.ts";
import { makeSievedBwrap, run, runnerOf, shell, showPrograms, toRequest } from "../support/sandbox.ts";
import { makeTempDir } from "../support/temp-dir.ts";

const READ_AS_SOUND = ["-v", "error", "-nostdin", "-f", "u8", "-ar", "8000", "-ac", "1", "-i"];

async function makeCanary() {
  const folder = await makeTempDir("canary");
  const workDir = join(folder, "work");
  await mkdir(workDir);
  await Bun.write(join(folder, "canary"), "canary".repeat(1000));
  return { workDir, canary: join(folder, "canary") };
}

describe("a sandboxed FFmpeg", () => {
  for (const version of ["ffmpeg", "ffmpeg9"] as const) {
    testUnless("not Linux", `cannot read a canary file beside its work folder (${version})`, async () => {
      const { workDir, canary } = await makeCanary();
      const request = toRequest(testEnv()[version], [...READ_AS_SOUND, canary, "-f", "null", "-"], { workDir });
      const held = await run(await runnerOf("bubblewrap"), request);
      expect(held.exitCode).not.toBe(0);
      expect(held.stderrTail).toContain("No such file or directory");
      // The same without a box: the test would notice a box that does not hold.
      expect((await run(await runnerOf("pdeathsig"), request)).exitCode).toBe(0);
    });

    testUnless("not Linux", `cannot reach a canary listener on loopback (${version})`, async () => {
      const { port, connections } = await listenForConnections();
      const request = toRequest(testEnv()[version], [...READ_AS_SOUND, `tcp://127.0.0.1:${port}`, "-f", "null", "-"]);
      expect((await run(await runnerOf("bubblewrap"), request)).exitCode).not.toBe(0);
      expect(connections()).toBe(0);
      await run(await runnerOf("pdeathsig"), request);
      expect(connections()).toBe(1);
    });
  }

  testUnless("not Linux", "reads a file that it is given, at its target, and cannot change it", async () => {
    const { workDir, canary } = await makeCanary();
    const target = join(workDir, "in/0");
    const rest = { workDir, readOnly: [...showPrograms("cat"), { source: canary, target }] };
    const script = `cat ${target}; echo; (echo x > ${target}) 2>&1; echo done`;
    const { lines } = await run(await runnerOf("bubblewrap"), shell(script, rest));
    expect(lines[0]).toStartWith("canarycanary");
    expect(lines[1]).toContain("Read-only file system");
    expect(lines.at(-1)).toBe("done");
  });

  testUnless("not Linux", "writes to its work folder and to nothing else", async () => {
    const { workDir } = await makeCanary();
    const script = `echo ok > ${workDir}/out
      for f in /x /tmp/x /usr/lib/x /etc/x /dev/x /sys/devices/system/x ${workDir}/../x
      do (echo x > $f) 2>/dev/null && echo $f; done; exit 0`;
    const { lines, exitCode } = await run(await runnerOf("bubblewrap"), shell(script, { workDir }));
    expect(exitCode).toBe(0);
    expect(lines).toEqual([]);
    expect(await Bun.file(join(workDir, "out")).text()).toBe("ok\n");
  });

  testUnless("not Linux", "sees no home, no processes, no secrets, but the processors' layout", async () => {
    const script =
      "ls / /proc; cat /sys/devices/system/cpu/online; env; ls -d /root /home /etc/passwd /proc/1 2>/dev/null";
    const request = shell(script, { readOnly: showPrograms("ls", "cat", "env") });
    const { lines } = await run(await runnerOf("bubblewrap"), request);
    const shown = lines.join("\n");
    for (const hidden of ["root", "home", "passwd", "/proc/1", "PATH=/", "HOME="]) expect(shown).not.toContain(hidden);
    expect(shown).toMatch(/^\d+(-\d+)?$/m);
    expect(lines.filter((one) => /^[A-Z_]+=/.test(one) && !/^(PWD|OLDPWD|_|SHLVL)=/.test(one)).sort()).toEqual([
      "LC_ALL=C.UTF-8",
      "MALLOC_ARENA_MAX=2",
    ]);
  });

  testUnless("not root", "is boxed in as an ordinary user as well", async () => {
    const folder = await makeTempDir("nobody");
    const built = await Bun.build({
      entrypoints: [join(import.meta.dir, "../../src/process/runner.ts")],
      target: "bun",
    });
    await Bun.write(join(folder, "runner.js"), built.outputs[0] ?? "");
    const script = `
      const { makeProcessRunner } = await import("./runner.js");
      const runner = await makeProcessRunner({ sandbox: "required" });
      console.log(process.getuid(), runner.sandbox.mode);`;
    await Bun.write(join(folder, "main.js"), script);
    await chmod(folder, 0o755);
    const child = Bun.spawn(
      ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", process.execPath, join(folder, "main.js")],
      {
        env: { HOME: "/nonexistent" },
        cwd: folder,
        stderr: "pipe",
      },
    );
    const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    expect({ stdout, stderr }).toEqual({ stdout: "65534 bubblewrap\n", stderr: "" });
  });
});

describe("the self-test", () => {
  testUnless("not Linux", "passes on this machine: nothing below may be trusted otherwise", async () => {
    expect((await makeProcessRunner({ sandbox: "required" })).sandbox.mode).toBe("bubblewrap");
  });

  testUnless("not Linux", "refuses a box that does not hold", async () => {
    const tools = { ...findHostTools(), bwrap: await makeSievedBwrap() };
    await expect(makeProcessRunner({ sandbox: "required", tools })).rejects.toThrow("could read files outside");
    const warnings: object[] = [];
    const logger = { warn: (fields: object) => void warnings.push(fields) };
    const { sandbox } = await makeProcessRunner({ sandbox: "auto", tools, logger });
    expect(sandbox.mode).toBe("none");
    expect(warnings).toEqual([{ reason: sandbox.reason }]);
  });

  test("tells why there is no sandbox", async () => {
    const tools = { ...findHostTools(), bwrap: null };
    await expect(makeProcessRunner({ sandbox: "required", tools })).rejects.toThrow(
      /SANDBOX is required, but bubblewrap/,
    );
    const { sandbox } = await makeProcessRunner({ sandbox: "auto", tools });
    expect(sandbox).toEqual({ mode: "none", reason: expect.stringContaining("bubblewrap") });
    expect((await makeProcessRunner({ sandbox: "off" })).sandbox).toEqual({ mode: "none", reason: "SANDBOX is off" });
  });
});
