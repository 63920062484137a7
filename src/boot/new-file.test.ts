import { expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { makeTempDir } from "../../test/support/temp-dir.ts";
import { nameOnce } from "./new-file.ts";

test("of two finished files only the first gets the name, and what is there is never replaced", async () => {
  const folder = await makeTempDir("new-file");
  const place = (name: string): string => join(folder, name);
  await Bun.write(place("a.unfinished"), "first");
  await Bun.write(place("b.unfinished"), "second");
  await nameOnce(place("a.unfinished"), place("archive"));
  await expect(nameOnce(place("b.unfinished"), place("archive"))).rejects.toMatchObject({ kind: "request.conflict" });
  expect(await Bun.file(place("archive")).text()).toBe("first");
  expect((await readdir(folder)).sort()).toEqual(["archive", "b.unfinished"]);
});
