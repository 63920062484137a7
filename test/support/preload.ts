/** Loaded by bun before each test file (bunfig.toml). */
import { afterAll } from "bun:test";
import { cleanUp } from "./cleanup.ts";

afterAll(cleanUp);
