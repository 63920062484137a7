/** The files that are printed from the code; each is committed, so that a reader needs no build, and checked. */

import { apiDocument } from "../src/boot/api-document.ts";
import { configurationMarkdown, envExample } from "../src/config/document.ts";
import { DASHBOARDS, dashboardJson } from "./dashboards.ts";
import { kubernetesRules } from "./kubernetes-rules.ts";
import { upgradingMarkdown } from "./upgrading.ts";

export interface Generator {
  /** From the checkout's root. */
  readonly path: string;
  /** What the file must hold. */
  readonly make: () => string | Promise<string>;
}

export const GENERATORS: readonly Generator[] = [
  { path: "docs/configuration.md", make: configurationMarkdown },
  { path: "docs/upgrading.md", make: upgradingMarkdown },
  { path: ".env.example", make: envExample },
  // What a client is generated from; a change of the wire shows in its diff.
  { path: "docs/openapi.json", make: () => `${JSON.stringify(apiDocument(), null, 2)}\n` },
  { path: "k8s/components/monitoring/rules.yaml", make: kubernetesRules },
  ...DASHBOARDS.map((dashboard) => ({
    path: `deploy/grafana/dashboards/${dashboard.uid}.json`,
    make: () => dashboardJson(dashboard),
  })),
];
