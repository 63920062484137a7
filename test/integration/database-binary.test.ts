/** The embedded database inside a compiled binary: its files, its template, its migrations, its lock. */
import { expect, test } from "bun:test";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { MIGRATIONS } from "../../migrations/index.ts";
import { ensureTemplate, TEMPLATE_NAME } from "../../src/database/pglite/template.ts";
import { makeTempDir } from "../support/temp-dir.ts";

const SOURCE = join(import.meta.dir, "../../src/database");

test("a compiled binary makes its database from its own template, anywhere", async () => {
  const folder = await makeTempDir("binary");
  const template = join(folder, TEMPLATE_NAME);
  const cached = join(import.meta.dir, "../../.cache", TEMPLATE_NAME);
  await ensureTemplate(cached);
  await Bun.write(template, Bun.file(cached));
  const main = join(folder, "main.ts");
  await Bun.write(
    main,
    `import { openPglite } from ${JSON.stringify(join(SOURCE, "pglite/open-pglite.ts"))};
     import { migrate } from ${JSON.stringify(join(SOURCE, "migrate.ts"))};
     const said = [];
     const logger = { info: (fields) => said.push(fields), warn: () => {} };
     const options = { dataDir: process.argv[2], statementTimeoutMs: 5000 };
     const sql = await openPglite({ ...options, logger });
     const { applied } = await migrate(sql);
     const second = await openPglite(options).catch((error) => error.kind);
     const [row] = await sql.query("SELECT count(*) AS n FROM jobs");
     await sql.close();
     console.log(JSON.stringify({ applied, second, row, template: said[0]?.fromTemplate ?? null }));`,
  );
  const binary = join(folder, "binary");
  const argv = [process.execPath, "build", "--compile", "--bytecode", "--format=esm", main, template];
  const built = Bun.spawnSync([...argv, "--outfile", binary], { cwd: join(import.meta.dir, "../..") });
  expect(built.stderr.toString()).not.toContain("error");
  expect(built.exitCode).toBe(0);

  const elsewhere = join(folder, "elsewhere");
  await mkdir(elsewhere);
  const run = () => {
    const { stdout, stderr } = Bun.spawnSync([binary, join(folder, "data")], { cwd: elsewhere, env: {} });
    if (stdout.length === 0) throw new Error(stderr.toString());
    return JSON.parse(stdout.toString()) as unknown;
  };
  const answer = { second: "database.unavailable", row: { n: 0 } };
  expect(run()).toEqual({ ...answer, applied: MIGRATIONS.map(({ name }) => name), template: true });
  expect(run()).toEqual({ ...answer, applied: [], template: null });
}, 120_000);
