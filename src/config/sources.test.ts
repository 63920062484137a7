import { describe, expect, test } from "bun:test";
import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { makeTempDir } from "../../test/support/temp-dir.ts";
import { load, namesOf, problemsOf } from "./load.fixture.ts";

async function folder(files: Readonly<Record<string, string>>): Promise<string> {
  const cwd = await makeTempDir("config");
  for (const [name, text] of Object.entries(files)) await Bun.write(join(cwd, name), text);
  return cwd;
}

describe("sources", () => {
  test("win in the documented order", async () => {
    const cwd = await folder({
      ".env": "API_PORT=1\nMAX_STREAMS=1\nMAX_OUTPUTS=1\nMAX_OPERATIONS=1\n",
      ".env.staging": "API_PORT=2\nMAX_STREAMS=2\nMAX_OUTPUTS=2\n",
      ".env.development": "MAX_OPERATIONS=99\n",
    });
    const env = { RENDIFF_ENV: "staging", API_PORT: "3", MAX_STREAMS: "3" };
    const config = load(env, { cwd, overrides: { API_PORT: "4" } });
    expect(config.http.port).toBe(4);
    expect(config.limits).toMatchObject({ maxStreams: 3, maxOutputs: 2, maxOperations: 1 });
  });

  test("RENDIFF_ENV in .env chooses the second file; NODE_ENV does not", async () => {
    const cwd = await folder({
      ".env": "RENDIFF_ENV=staging\n",
      ".env.staging": "API_PORT=2\n",
      ".env.production": "API_PORT=3\n",
      ".env.local": "API_PORT=4\n",
    });
    expect(load({ NODE_ENV: "production" }, { cwd })).toMatchObject({ env: "staging", http: { port: 2 } });
  });

  test("a file that names another environment than its own is refused", async () => {
    const cwd = await folder({ ".env.staging": "RENDIFF_ENV=production\n" });
    expect(namesOf({ RENDIFF_ENV: "staging" }, { cwd })).toEqual([".env.staging"]);
  });

  test("an empty text is not given, and covers what lies below", async () => {
    const cwd = await folder({ ".env": "API_PORT=1\n" });
    expect(load({ API_PORT: "", SIGNING_SECRET_FILE: " " }, { cwd }).http.port).toBe(8000);
  });

  test("lines of a file that cannot be read are problems with their place", async () => {
    const cwd = await folder({ ".env": "API_PORT=1\nnonsense\n" });
    expect(namesOf({}, { cwd })).toEqual([".env:2"]);
  });

  test("a .env that is no file is a problem", async () => {
    const cwd = await folder({});
    await mkdir(join(cwd, ".env"));
    expect(problemsOf({}, { cwd })[0]).toMatch(/^\.env cannot be read \(EISDIR\)/);
  });

  test("--role wins over RENDIFF_ROLE and is what a problem names", () => {
    expect(load({ RENDIFF_ROLE: "worker" }, { role: "combined" }).process.role).toBe("combined");
    expect(namesOf({}, { role: "api" })).toEqual(["--role"]);
    expect(namesOf({}, { role: "boss" })).toEqual(["--role"]);
  });
});

describe("secrets from files", () => {
  const secret = "s".repeat(40);

  test("are read without the white space at their ends, relative to the working directory", async () => {
    const cwd = await folder({ signing: `${secret}\n` });
    expect(load({ SIGNING_SECRET_FILE: "signing" }, { cwd }).keys.signingSecret).toBe(secret);
    expect(load({ SIGNING_SECRET_FILE: join(cwd, "signing") }).keys.signingSecret).toBe(secret);
  });

  test("given both ways in one place is a problem; otherwise the higher place wins", async () => {
    const cwd = await folder({ signing: secret, ".env": `SIGNING_SECRET=${"e".repeat(40)}\n` });
    const both = problemsOf({ SIGNING_SECRET_FILE: "signing", SIGNING_SECRET: secret }, { cwd });
    expect(both).toEqual(["SIGNING_SECRET_FILE and SIGNING_SECRET are both given; leave one of them out"]);
    expect(load({ SIGNING_SECRET_FILE: "signing" }, { cwd }).keys.signingSecret).toBe(secret);
  });

  test("that are missing, empty, unreadable or too weak are problems that do not show them", async () => {
    const cwd = await folder({ empty: "\n", weak: "hunter2" });
    await mkdir(join(cwd, "folder"));
    await chmod(join(cwd, "weak"), 0o600);
    for (const file of ["missing", "empty", "folder"]) {
      expect(namesOf({ SIGNING_SECRET_FILE: file }, { cwd })).toEqual(["SIGNING_SECRET_FILE"]);
    }
    expect(problemsOf({ SIGNING_SECRET_FILE: "weak" }, { cwd })).toEqual([
      "SIGNING_SECRET must be 32 or more characters",
    ]);
  });

  test("only secrets can be", () => {
    expect(problemsOf({ API_PORT_FILE: "/etc/hostname" })[0]).toMatch(/^API_PORT_FILE is not read: only secrets/);
  });
});

test("unknown names in .env files are reported", async () => {
  const cwd = await folder({ ".env": "MAX_INPUT_SIZ=1\n" });
  expect(namesOf({}, { cwd })).toEqual(["MAX_INPUT_SIZ"]);
});

test("Bun itself leaves .env files alone where our bunfig.toml is", async () => {
  const bunfig = await Bun.file(join(import.meta.dir, "../../bunfig.toml")).text();
  const script = "console.log(process.env.FROM_DOTENV ?? 'nothing')";
  const run = (cwd: string): string =>
    Bun.spawnSync([process.execPath, "run", "script.ts"], { cwd, env: { PATH: "/usr/bin:/bin" } })
      .stdout.toString()
      .trim();
  const files = { ".env": "FROM_DOTENV=loaded\n", "script.ts": script };
  expect(run(await folder(files))).toBe("loaded");
  expect(run(await folder({ ...files, "bunfig.toml": bunfig }))).toBe("nothing");
});
