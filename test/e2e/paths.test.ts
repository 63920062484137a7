/** The input stays as it is, an output goes only where it may, and nothing leaves the storage's root. */
import { expect, test } from "bun:test";
import { link, mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import type { ApiError, Job } from "../support/api.ts";
import { untilClean } from "../support/server.ts";
import { inBothProfiles, put, type Stage, shortEncode, stored } from "./harness.ts";

/** Refused at once or as a failed job; either way in a sentence. */
async function refusal({ api, site }: Stage, body: object): Promise<string> {
  const { status, body: answer } = await api.call<Job & ApiError>("POST", "/convert", body);
  if (status !== 201) {
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(500);
    expect(answer.error.message).not.toContain(site.folder);
    return answer.error.code;
  }
  const job = await api.ended(answer.id);
  expect(job.status).toBe("failed");
  expect(job.error?.message).not.toContain(site.folder);
  return job.error?.kind ?? "";
}

inBothProfiles("paths", (stage) => {
  test("the input is never overwritten, whatever it is called", async () => {
    const now = stage();
    const { storage } = now.site;
    await put(now.site, "same/in.mp4");
    const before = await Bun.file(stored(now.site, "same/in.mp4")).bytes();
    await link(join(storage, "same/in.mp4"), join(storage, "same/hard.mp4"));
    await symlink("in.mp4", join(storage, "same/soft.mp4"));
    await symlink("same", join(storage, "folder"));
    const outputs = ["same/in.mp4", "local://same/in.mp4", "same/hard.mp4", "same/soft.mp4", "folder/in.mp4"];
    for (const output of outputs) {
      const kind = await refusal(now, shortEncode("same/in.mp4", output));
      expect([output, kind]).toEqual([
        output,
        expect.stringMatching(/VALIDATION_ERROR|CONFLICT|output\.|plan\.|input\./),
      ]);
      expect(Buffer.from(await Bun.file(stored(now.site, "same/in.mp4")).bytes()).equals(before)).toBe(true);
    }
  });

  test("overwrite: false fails when the output exists, and leaves it", async () => {
    const now = stage();
    const input = await put(now.site, "a.mp4");
    await Bun.write(stored(now.site, "there.mp4"), "precious");
    const kept = { ...shortEncode(input, "there.mp4"), options: { overwrite: false } };
    expect(await refusal(now, kept)).toMatch(/output\.exists|CONFLICT/);
    expect(await Bun.file(stored(now.site, "there.mp4")).text()).toBe("precious");
    await now.api.completed(shortEncode(input, "there.mp4"));
    expect(Bun.file(stored(now.site, "there.mp4")).size).toBeGreaterThan(100);
  });

  test("an output in a folder that is not there makes the folder", async () => {
    const { api, site } = stage();
    await api.completed(shortEncode(await put(site, "a.mp4"), "new/deep er/still/out.mp4"));
    expect(await Bun.file(stored(site, "new/deep er/still/out.mp4")).exists()).toBe(true);
  });

  test("an output over a folder, or below a file, is refused in a sentence", async () => {
    const now = stage();
    const input = await put(now.site, "a.mp4");
    await mkdir(stored(now.site, "folder.mp4"), { recursive: true });
    expect(await refusal(now, shortEncode(input, "folder.mp4"))).not.toBe("internal");
    expect(await refusal(now, shortEncode(input, "a.mp4/below.mp4"))).not.toBe("internal");
  });

  test("no path leads out of the storage", async () => {
    const now = stage();
    const input = await put(now.site, "a.mp4");
    const secret = join(now.site.folder, "secret.mp4");
    await Bun.write(secret, await Bun.file(stored(now.site, "a.mp4")).bytes());
    await symlink(secret, stored(now.site, "leak.mp4"));
    await symlink(now.site.folder, stored(now.site, "out-link"));
    const outside = [
      "../secret.mp4",
      "x/../../secret.mp4",
      "local://../secret.mp4",
      "local:///%2e%2e/secret.mp4",
      "local://%252e%252e/secret.mp4",
      secret,
      `local://${secret}`,
      `file://${secret}`,
      "leak.mp4",
      "out-link/secret.mp4",
      "..\\secret.mp4",
    ];
    for (const path of outside) {
      const { body } = await now.api.call<ApiError>("POST", "/probe", { input: path });
      expect([path, body.error?.code]).toEqual([
        path,
        expect.stringMatching(/^(VALIDATION_ERROR|UNSUPPORTED|NOT_FOUND|STORAGE_ERROR)$/),
      ]);
      expect(body.error.message).not.toContain(now.site.folder);
    }
    for (const path of outside) {
      if (path.endsWith(secret)) continue;
      await refusal(now, shortEncode(path, "stolen.mp4"));
      await refusal(now, shortEncode(input, path.replace("secret.mp4", "planted.mp4")));
    }
    expect(await Bun.file(stored(now.site, "stolen.mp4")).exists()).toBe(false);
    expect(await Bun.file(join(now.site.folder, "planted.mp4")).exists()).toBe(false);
    expect(Bun.file(secret).size).toBe(Bun.file(stored(now.site, "a.mp4")).size);
    await untilClean(now.site);
  });
});
