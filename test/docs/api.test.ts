/** The guide to the API, block by block. */
import { test } from "bun:test";
import { FOLLOW_TIMEOUT_MS, followDocument } from "./session.ts";

test("docs/api.md works as it stands", () => followDocument("docs/api.md"), FOLLOW_TIMEOUT_MS);
