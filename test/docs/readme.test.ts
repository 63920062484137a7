/** The first thing that a reader does. */
import { test } from "bun:test";
import { FOLLOW_TIMEOUT_MS, followDocument } from "./session.ts";

test("README.md works as it stands", () => followDocument("README.md"), FOLLOW_TIMEOUT_MS);
