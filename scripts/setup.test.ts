/** Setting up where a source accepts connections and never answers: it ends, says which one it was and what to do. */
import { expect, test } from "bun:test";
import { chmod, mkdir, symlink } from "node:fs/promises";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { makeTempDir } from "../test/support/temp-dir.ts";

/** A checkout with nothing installed, and no Bun and no npm but what `programs` brings. */
async function makeCheckout(programs: Readonly<Record<string, string>>): Promise<{ folder: string; bin: string }> {
  const folder = await makeTempDir("setup");
  const bin = join(folder, "bin");
  await mkdir(join(folder, ".cache"));
  await mkdir(bin);
  await symlink(resolve("scripts"), join(folder, "scripts"));
  for (const [name, text] of Object.entries(programs)) {
    await Bun.write(join(bin, name), `#!/bin/sh\n${text}\n`);
    await chmod(join(bin, name), 0o755);
  }
  return { folder, bin };
}

/** `step` with a second for minutes. */
async function setUp({ folder, bin }: { folder: string; bin: string }, step: string) {
  const script = `set -eu; . ./scripts/setup.sh; look_seconds=1; fetch_seconds=1; bun_found() { false; }; ${step}`;
  const shell = Bun.spawn(["sh", "-c", script], {
    cwd: folder,
    env: { ...Bun.env, PATH: `${bin}:${Bun.env.PATH}` },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const said = await new Response(shell.stderr).text();
  return { exitCode: await shell.exited, said };
}

const NEVER_ENDS = "exec tail -f /dev/null";

test("a registry that says nothing about Bun is named, with what to do", async () => {
  const checkout = await makeCheckout({
    npm: `[ "$1" = config ] && { echo http://registry.test/; exit 0; }\n${NEVER_ENDS}`,
  });
  const { exitCode, said } = await setUp(checkout, "install_bun");
  expect(exitCode).toBe(1);
  expect(said).toContain("npm was ended after 1 s without a result.");
  expect(said).toContain("npm's registry http://registry.test/ has no answer about bun@");
  expect(said).toContain("then run ./dev again.");
});

test("a registry that falls silent after its first answer is given up too", async () => {
  const checkout = await makeCheckout({
    npm: `case "$1" in config | view) exit 0 ;; esac\n${NEVER_ENDS}`,
  });
  const { exitCode, said } = await setUp(checkout, "install_bun");
  expect(exitCode).toBe(1);
  expect(said).toContain("npm was ended after 1 s without a result.");
  expect(said).toContain("Installing Bun failed;");
  expect(said).toContain("then run ./dev again.");
});

test("an index that accepts connections and never answers is given up, and its log is shown", async () => {
  const silent = createServer();
  await new Promise<void>((done) => silent.listen(0, "127.0.0.1", done));
  try {
    const address = silent.address();
    const port = typeof address === "object" ? address?.port : 0;
    const checkout = await makeCheckout({ python3: `exec curl --silent http://127.0.0.1:${port}/simple` });
    const step = `install_ffmpeg9; finish "$ffmpeg9_pid" ffmpeg9 "FFmpeg 9"`;
    const { exitCode, said } = await setUp(checkout, step);
    expect(exitCode).toBe(1);
    expect(said).toContain("python3 was ended after 1 s without a result.");
    expect(said).toContain("FFmpeg 9 could not be installed; the output is above and in .cache/ffmpeg9.log.");
  } finally {
    silent.close();
  }
});

test("what is built from a proxy that is silent is not even begun", async () => {
  const checkout = await makeCheckout({
    go: `case "$1" in env) echo go1.99.0 ;; list) ${NEVER_ENDS} ;; *) echo "$*" >>begun ;; esac`,
  });
  const step = `go=go; mkdir -p .cache/bin; build_go "$cache/bin" example.test/tools/cmd/tool@v1.0.0`;
  const { exitCode, said } = await setUp(checkout, step);
  expect(exitCode).toBe(124);
  expect(said).toContain("go was ended after 1 s without a result.");
  expect(await Bun.file(join(checkout.folder, ".cache/bin/begun")).exists()).toBe(false);
});
