/** The operator's guides: backups are made, lost and restored as docs/operations.md and docs/upgrading.md say. */
import { test } from "bun:test";
import { FOLLOW_TIMEOUT_MS, followDocument } from "./session.ts";

for (const document of ["docs/operations.md", "docs/upgrading.md"]) {
  test(`${document} works as it stands`, () => followDocument(document), FOLLOW_TIMEOUT_MS);
}
