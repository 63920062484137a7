import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { makeTempDir } from "../../test/support/temp-dir.ts";
import { type Box, makeCommand } from "./command.ts";
import { LEAST_URGENT, type ProcessRequest } from "./port.ts";

const tools = {
  bwrap: "/usr/bin/bwrap",
  setpriv: "/usr/bin/setpriv",
  nice: "/usr/bin/nice",
  chrt: "/usr/bin/chrt",
  sh: "/bin/sh",
};
const request: ProcessRequest = {
  program: "/bin/sh",
  args: ["-c", "true"],
  workDir: "/tmp",
  readOnly: [{ source: "/data/a", target: "/tmp/in/0" }],
  limits: { addressSpaceBytes: 2048, fileBytes: 2000, cpuSeconds: 3, openFiles: 4 },
  sandbox: "default",
  niceness: 0,
  stderrBytesMax: 1,
};
const binds = {
  libraries: ["--ro-bind", "/usr/lib", "/usr/lib"],
  encoding: ["--ro-bind", "/etc/fonts", "/etc/fonts"],
  always: ["--dir", "/tmp"],
};
const boxed: Box = { tools, binds };
const open: Box = { tools, binds: null };

const has = (argv: readonly string[], ...part: readonly string[]) =>
  argv.some((_, index) => part.every((one, offset) => argv[index + offset] === one));

describe("a child's command", () => {
  test("sets the limits first, then the box, then runs the program", () => {
    const { argv, wrapper } = makeCommand(boxed, request);
    expect(wrapper).toBe("bubblewrap");
    expect(argv.slice(0, 2)).toEqual(["/bin/sh", "-c"]);
    const limits = [
      "unset PWD OLDPWD SHLVL",
      "ulimit -c 0",
      "ulimit -v 2",
      "ulimit -f 3",
      "ulimit -t 3",
      "ulimit -n 4",
    ];
    expect(argv[2]).toBe(`${limits.map((one) => `${one} 2>/dev/null`).join("; ")}; exec "$0" "$@"`);
    expect(argv[3]).toBe("/usr/bin/bwrap");
    expect(argv.slice(-4)).toEqual(["--", "/bin/sh", "-c", "true"]);
  });

  test("has no limit that is no number", () => {
    for (const fileBytes of [Number.NaN, Number.POSITIVE_INFINITY, -1]) {
      expect(() => makeCommand(open, { ...request, limits: { ...request.limits, fileBytes } })).toThrow(RangeError);
    }
  });

  test("has no network, no capability, and dies with its parent", () => {
    const { argv } = makeCommand(boxed, request);
    for (const flag of ["--unshare-all", "--die-with-parent"]) expect(argv).toContain(flag);
    expect(has(argv, "--cap-drop", "ALL")).toBe(true);
    expect(argv).not.toContain("--share-net");
  });

  test("may write its work folder, read what it was given, and nothing else", () => {
    const { argv } = makeCommand(boxed, request);
    expect(has(argv, "--bind", "/tmp", "/tmp")).toBe(true);
    expect(has(argv, "--ro-bind", "/data/a", "/tmp/in/0")).toBe(true);
    expect(argv.filter((one) => one === "--bind")).toHaveLength(1);
  });

  test("sees libraries, unless it is static and works with no device", async () => {
    const program = join(await makeTempDir("command"), "static");
    // An ELF file of 64 bits that names no loader.
    await Bun.write(program, Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, ...new Uint8Array(58)]));
    const sees = (one: ProcessRequest) => has(makeCommand(boxed, one).argv, ...binds.libraries);
    expect(sees(request)).toBe(true);
    expect(sees({ ...request, program })).toBe(false);
    expect(sees({ ...request, program, devices: ["/dev/dri"] })).toBe(true);
    expect(has(makeCommand(boxed, { ...request, program }).argv, ...binds.always)).toBe(true);
  });

  test("sees fonts, unless it only reads", () => {
    expect(has(makeCommand(boxed, request).argv, ...binds.encoding)).toBe(true);
    expect(has(makeCommand(boxed, { ...request, onlyReads: true }).argv, ...binds.encoding)).toBe(false);
  });

  test("without bubblewrap dies with its parent by the parent-death signal", () => {
    for (const one of [makeCommand(open, request), makeCommand(boxed, { ...request, sandbox: "off" })]) {
      expect(one.wrapper).toBe("none");
      expect(has(one.argv, "/usr/bin/setpriv", "--pdeathsig", "KILL", "--", "/bin/sh")).toBe(true);
    }
  });

  test("where there is no such signal is watched by a shell", () => {
    const { argv, wrapper } = makeCommand({ tools: { ...tools, setpriv: null }, binds: null }, request);
    expect(wrapper).toBe("watchdog");
    expect(argv[2]).toContain("ulimit -v 2 ");
    expect(argv.slice(-3)).toEqual(["/bin/sh", "-c", "true"]);
  });

  test("is niced only when asked", () => {
    expect(has(makeCommand(boxed, { ...request, niceness: 10 }).argv, "/usr/bin/nice", "-n", "10")).toBe(true);
    expect(makeCommand(boxed, request).argv).not.toContain("/usr/bin/nice");
  });

  test("gets what nobody else wants only where nothing is less urgent, and this system knows how", () => {
    const script = (niceness: number, chrt: string | null = tools.chrt) =>
      makeCommand({ ...boxed, tools: { ...tools, chrt } }, { ...request, niceness }).argv[2];
    expect(script(LEAST_URGENT)).toContain("; /usr/bin/chrt -i -p 0 $$ 2>/dev/null; ");
    expect(script(LEAST_URGENT - 1)).not.toContain("chrt");
    expect(script(LEAST_URGENT, null)).not.toContain("-i -p");
  });
});
