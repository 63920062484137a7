/** `./dev check`: everything that can be judged without running the product. */
import { Validator } from "@seriousme/openapi-schema-validator";
import { findAll } from "./hygiene.ts";

interface Outcome {
  readonly ok: boolean;
  readonly output: string;
}

function run(...argv: string[]): () => Outcome {
  return () => {
    const { exitCode, stdout, stderr } = Bun.spawnSync(argv, { stdin: "ignore", env: { ...Bun.env, NO_COLOR: "1" } });
    return { ok: exitCode === 0, output: `${stdout}${stderr}`.trim() };
  };
}

async function hygiene(): Promise<Outcome> {
  const findings = await findAll();
  const output = findings.map(({ path, line, text }) => `${path}:${line} ${text}`).join("\n");
  return { ok: findings.length === 0, output };
}

/** By the schema that the OpenAPI Initiative publishes, in a package that knows nothing of this project. */
async function openapi(): Promise<Outcome> {
  const validator = new Validator();
  const result = await validator.validate(await Bun.file("docs/openapi.json").json());
  const ok = result.valid && validator.version === "3.1";
  return { ok, output: ok ? "" : `OpenAPI ${validator.version}: ${JSON.stringify(result.errors, null, 2)}` };
}

const bun = process.execPath;
const STEPS: readonly (readonly [name: string, step: () => Outcome | Promise<Outcome>])[] = [
  ["format and lint", run(bun, "x", "--no-install", "biome", "check", "--error-on-warnings", ".")],
  ["types", run(bun, "x", "--no-install", "tsc", "-p", ".")],
  [
    "architecture",
    run(bun, "test", "--isolate", "--only-failures", "./test/arch/architecture.test.ts", "./test/arch/rules.test.ts"),
  ],
  ["generated files", run(bun, "scripts/generate.ts", "--check")],
  ["the OpenAPI document", openapi],
  ["no paths of one machine, no registries", hygiene],
];

let failed = 0;
for (const [name, step] of STEPS) {
  const started = performance.now();
  const { ok, output } = await step();
  console.log(`${ok ? "✓" : "✗"} ${name} (${((performance.now() - started) / 1_000).toFixed(1)} s)`);
  if (ok) continue;
  failed += 1;
  console.log(output.replace(/^/gm, "  | "));
}

console.log(`${STEPS.length - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
