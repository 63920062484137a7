import { expect, test } from "bun:test";
import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { failureOf } from "../../test/support/steps.ts";
import { makeTempDir } from "../../test/support/temp-dir.ts";
import { NO_MEDIA } from "../media/plan/expect.ts";
import { writeContent } from "./write-content.ts";

test("a full disk is said to be one", async () => {
  const workDir = await makeTempDir("content");
  await mkdir(join(workDir, "out"));
  await symlink("/dev/full", join(workDir, "out/0.vtt"));
  const output = { role: "map", file: "out/0.vtt", name: null, mediaType: "text/vtt", expect: NO_MEDIA } as const;
  const failure = await failureOf(writeContent(output, { kind: "text", text: "WEBVTT\n" }, workDir));
  expect(failure.kind).toBe("resource.disk");
});
