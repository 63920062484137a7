/** `bun test/golden/record.ts [case…]`: records cases anew; without names only those that have no argv.txt yet. */
import { join } from "node:path";
import { caseNames, loadCase, record } from "./harness.ts";

const asked = process.argv.slice(2);
for (const name of caseNames()) {
  const one = await loadCase(name);
  const wanted = asked.length > 0 ? asked.includes(name) : !(await Bun.file(join(one.folder, "argv.txt")).exists());
  if (wanted) await record(one);
}
