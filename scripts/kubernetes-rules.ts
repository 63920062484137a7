/**
 * The alerts of `deploy/prometheus/rules` as the Prometheus operator wants them: the same groups, text for text, each file
 * inside a resource of its own.
 */
import { basename } from "node:path";

const FOLDER = "deploy/prometheus/rules";

function resource(name: string, rules: string): string {
  const head = `apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: rendiff-${name}
  labels: { release: prometheus }
spec:
`;
  return head + rules.trimEnd().replace(/^(?=.)/gm, "  ");
}

export async function kubernetesRules(): Promise<string> {
  const files = [...new Bun.Glob("*.yml").scanSync(FOLDER)].sort();
  const resources = await Promise.all(
    files.map(async (file) => resource(basename(file, ".yml"), await Bun.file(`${FOLDER}/${file}`).text())),
  );
  return `# Generated from ${FOLDER} by scripts/generate.ts.\n${resources.join("\n---\n")}\n`;
}
