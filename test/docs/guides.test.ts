/** The other guides, each by a reader of its own. */
import { test } from "bun:test";
import { FOLLOW_TIMEOUT_MS, followDocument } from "./session.ts";

const GUIDES = [
  ...["docs/setup.md", "docs/storage.md", "docs/performance.md", "docs/security.md"],
  ...["docs/deployment.md", "docs/monitoring.md"],
];

for (const document of GUIDES) {
  test(`${document} works as it stands`, () => followDocument(document), FOLLOW_TIMEOUT_MS);
}
