/** Each rule catches what it is there for: a rule that cannot fail guards nothing. */
import { describe, expect, test } from "bun:test";
import { RULES } from "./rules.ts";
import { parseSource } from "./source.ts";

interface Case {
  /** Path and code of files that together break the rule; each entry alone is one planted violation. */
  readonly caught: readonly (readonly [path: string, code: string])[];
  readonly allowed: readonly (readonly [path: string, code: string])[];
}

const lines = (count: number): string => "0;\n".repeat(count);

const titleOf = (code: string): string => code.split("\n")[0]?.slice(0, 80) ?? "";

const CASES: Record<string, Case> = {
  "imports flow one way": {
    caught: [
      ["src/media/plan.ts", `import { claim } from "../jobs/claim.ts";`],
      ["src/media/plan.ts", `import type { Sql } from "../database/sql.ts";`],
      ["src/errors.ts", `import { z } from "./media/types.ts";`],
      ["src/jobs/claim.ts", `import { openPglite } from "../database/pglite/open-pglite.ts";`],
      ["src/jobs/claim.ts", `import { loadConfig } from "../config/config.ts";`],
      ["src/database/sql.ts", `import { claim } from "../jobs/claim.ts";`],
      ["src/storage/local/backend.ts", `import { openPostgres } from "../../database/postgres/open-postgres.ts";`],
      ["src/process/spawn.ts", `export * from "../storage/local/backend.ts";`],
      ["actors/worker/worker.logic.ts", `import { app } from "../../plugins/app.ts";`],
      ["actors/worker/worker.logic.ts", `import { makeSpawn } from "../../src/process/spawn.ts";`],
      ["plugins/app.ts", `import { spawnRoot } from "../actors/spawn-root.ts";`],
      ["plugins/app.ts", `const late = () => import("../src/database/postgres/open-postgres.ts");`],
      ["src/boot/embedded.ts", `import { serve } from "../cli/serve.ts";`],
      ["src/cli/keys.ts", `import { openPglite } from "../database/pglite/open-pglite.ts";`],
      ["src/main.ts", `import { app } from "../plugins/app.ts";`],
      ["src/jobs/claim.ts", `import { until } from "../../test/support/until.ts";`],
      ["src/jobs/claim.ts", `import { generate } from "../../scripts/generate.ts";`],
      ["src/nowhere/new.ts", `export const a = 1;`],
    ],
    allowed: [
      ["src/media/plan.ts", `import { RendiffError } from "../errors.ts"; import { a } from "./types.ts";`],
      [
        "src/jobs/claim.ts",
        `import type { Config } from "../config/config.ts"; import { json } from "../database/sql.ts";`,
      ],
      ["src/jobs/claim.ts", `import { type Config } from "../config/config.ts";`],
      ["src/boot/embedded.ts", `import { openPglite } from "../database/pglite/open-pglite.ts";`],
      ["src/jobs/claim.test.ts", `import { openPglite } from "../database/pglite/open-pglite.ts";`],
      ["src/cli/version.ts", `import { version } from "../../package.json";`],
    ],
  },
  "each package has one home": {
    caught: [
      ["src/jobs/claim.ts", `import { Elysia } from "elysia";`],
      ["src/jobs/claim.ts", `import postgres from "postgres";`],
      ["plugins/app.ts", `import { createMachine } from "xstate";`],
      ["src/storage/local/a.ts", `import { exec } from "node:child_process";`],
      ["src/boot/a.ts", `import pino from "pino";`],
    ],
    allowed: [
      ["plugins/app.ts", `import { Elysia } from "elysia"; import { openapi } from "@elysiajs/openapi";`],
      ["src/database/postgres/a.ts", `import postgres from "postgres";`],
      ["src/jobs/claim.test.ts", `import postgres from "postgres";`],
    ],
  },
  "src/media imports nothing from outside but zod": {
    caught: [
      ["src/media/plan.ts", `import { join } from "node:path";`],
      ["src/media/plan.ts", `import { $ } from "bun";`],
    ],
    allowed: [["src/media/plan.ts", `import { z } from "zod";`]],
  },
  "relative imports name the file": {
    caught: [["src/jobs/claim.ts", `import { a } from "./store";`]],
    allowed: [["src/jobs/claim.ts", `import { a } from "./store.ts"; import { z } from "zod";`]],
  },
  "no circle of imports": {
    caught: [["src/jobs/a.ts", `import { a } from "./a.ts";`]],
    allowed: [["src/jobs/a.ts", `import type { A } from "./a.ts";`]],
  },
  "no file over 400 lines": {
    caught: [["src/jobs/a.ts", lines(401)]],
    allowed: [["src/jobs/a.ts", lines(400)]],
  },
  "no function over 70 lines": {
    caught: [
      ["src/jobs/a.ts", `function long() {\n${lines(69)}}`],
      ["src/jobs/a.ts", `const long = () => {\n${lines(69)}};`],
      ["src/jobs/a.ts", `class A { long() {\n${lines(69)}} }`],
    ],
    allowed: [
      ["src/jobs/a.ts", `function fits() {\n${lines(68)}}`],
      ["src/jobs/a.test.ts", `function long() {\n${lines(100)}}`],
    ],
  },
  "files and folders are in kebab-case": {
    caught: [
      ["src/jobs/claimJob.ts", ""],
      ["src/Jobs/claim.ts", ""],
      ["src/jobs/claim_job.ts", ""],
    ],
    allowed: [
      ["src/jobs/claim-job.test.ts", ""],
      ["migrations/0001-initial.ts", ""],
      ["actors/attempt/attempt.machine.ts", ""],
    ],
  },
  "the environment is read in src/config only": {
    caught: [
      ["src/jobs/a.ts", `const a = process.env.HOME;`],
      ["src/jobs/a.ts", `const a = process["env"];`],
      ["actors/a.ts", `const { HOME } = Bun.env;`],
      ["plugins/a.ts", `use(import.meta.env.HOME);`],
    ],
    allowed: [
      ["src/config/a.ts", `const a = process.env;`],
      ["scripts/a.ts", `const a = process.env.HOME;`],
      ["src/jobs/a.ts", `const a = { env: 1 }; a.env;`],
    ],
  },
  "child processes are started in src/process only": {
    caught: [
      ["src/jobs/a.ts", `Bun.spawn(["ls"]);`],
      ["actors/a.ts", `Bun.spawnSync(["ls"]);`],
      ["plugins/a.ts", "await Bun.$`ls`;"],
    ],
    allowed: [
      ["src/process/a.ts", `Bun.spawn(["ls"]);`],
      ["bench/a.ts", `Bun.spawn(["ls"]);`],
      ["src/jobs/a.test.ts", `Bun.spawn(["ls"]);`],
    ],
  },
  "process.on is used in src/main.ts only": {
    caught: [
      ["src/boot/a.ts", `process.on("SIGTERM", stop);`],
      ["src/boot/a.ts", `process.once("exit", stop);`],
    ],
    allowed: [
      ["src/main.ts", `process.on("SIGTERM", stop);`],
      ["src/boot/a.ts", `child.process.on("exit", stop);`],
    ],
  },
  "src/media is pure": {
    caught: [
      ["src/media/a.ts", `const now = Date.now();`],
      ["src/media/a.ts", `const now = new Date();`],
      ["src/media/a.ts", `const a = Math.random();`],
      ["src/media/a.ts", `console.log(1);`],
      ["src/media/a.ts", `await fetch("x");`],
      ["src/media/a.ts", `Bun.file("x");`],
    ],
    allowed: [
      ["src/media/a.ts", `const plan = { process: 1, console: 2 }; plan.process; Math.max(1, 2);`],
      ["src/jobs/a.ts", `const now = Date.now();`],
    ],
  },
  "no sleep in a test": {
    caught: [
      ["src/jobs/a.test.ts", `await Bun.sleep(5);`],
      ["src/jobs/a.test.ts", `await new Promise((done) => setTimeout(done, 5));`],
      ["test/contract/a.contract.ts", `setInterval(f, 5);`],
    ],
    allowed: [
      ["test/support/until.ts", `await Bun.sleep(5);`],
      ["src/jobs/a.test.ts", `await until(() => true);`],
    ],
  },
  "no mock.module": {
    caught: [["src/jobs/a.test.ts", `mock.module("x", () => ({}));`]],
    allowed: [["src/jobs/a.test.ts", `mock(() => 1);`]],
  },
  "no .only": {
    caught: [
      ["src/jobs/a.test.ts", `test.only("a", f);`],
      ["src/jobs/a.test.ts", `describe.only.each([1])("a", f);`],
    ],
    allowed: [["src/jobs/a.test.ts", `test("only", f); selection.only();`]],
  },
  "tests are skipped by testUnless only": {
    caught: [
      ["src/jobs/a.test.ts", `test.skip("a", f);`],
      ["src/jobs/a.test.ts", `describe.if(false)("a", f);`],
      ["test/contract/a.contract.ts", `test.todo("a");`],
      ["src/jobs/a.test.ts", `it.skipIf(true)("a", f);`],
    ],
    allowed: [
      ["test/support/gated.ts", `test.skip("a", f);`],
      ["src/jobs/a.test.ts", `testUnless("not Linux", "a", f); cursor.skip(1);`],
    ],
  },
  "createActor is called once, in actors/spawn-root.ts": {
    caught: [
      ["actors/worker/a.ts", `const actor = createActor(machine);`],
      ["src/boot/a.ts", `const actor = xstate.createActor(machine);`],
      ["actors/spawn-root.ts", `createActor(a); createActor(b);`],
      ["actors/spawn-root.ts", `export const a = 1;`],
    ],
    allowed: [
      ["actors/spawn-root.ts", `export const a = createActor(machine);`],
      ["actors/worker/a.test.ts", `createActor(machine);`],
      ["actors/worker/a.fixture.ts", `createActor(machine);`],
    ],
  },
  "named exports only": {
    caught: [
      ["src/jobs/a.ts", `export default 1;`],
      ["test/a.ts", `const a = 1; export { a as default };`],
    ],
    allowed: [
      ["src/jobs/a.ts", `export const a = 1;`],
      ["src/database/files.d.ts", `declare module "*.sql" { const text: string; export default text; }`],
    ],
  },
};

describe("the rules", () => {
  test("each has a case", () => {
    expect(Object.keys(CASES).sort()).toEqual(RULES.map(({ name }) => name).sort());
  });

  for (const rule of RULES) {
    const { caught = [], allowed = [] } = CASES[rule.name] ?? {};
    for (const [path, code] of caught) {
      test(`${rule.name}: catches ${path}: ${titleOf(code)}`, () => {
        const violations = rule.check([parseSource(path, code)]);
        expect(violations).toHaveLength(1);
        expect(violations[0]).toMatchObject({ path, line: expect.any(Number), message: expect.any(String) });
      });
    }
    for (const [path, code] of allowed) {
      test(`${rule.name}: allows ${path}: ${titleOf(code)}`, () => {
        expect(rule.check([parseSource(path, code)])).toEqual([]);
      });
    }
  }

  test("a circle over several files is named from end to end", () => {
    const circle = ["a", "b", "c"].map((name, at, all) =>
      parseSource(`src/jobs/${name}.ts`, `import { x } from "./${all[(at + 1) % 3]}.ts";`),
    );
    const rule = RULES.find(({ name }) => name === "no circle of imports");
    expect(rule?.check(circle)[0]?.message).toStartWith(
      "src/jobs/a.ts → src/jobs/b.ts → src/jobs/c.ts → src/jobs/a.ts",
    );
  });
});
