/**
 * Hostile media and hostile parameters against two layers, of which each has to hold alone: what the program makes of a
 * request (closed lists of formats and protocols, values that are escaped or refused), here without a sandbox; and the
 * sandbox, here around a program that is as careless as can be.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFile, mkdir, readdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { type Api, type ApiError, type Job, makeApi } from "../support/api.ts";
import { CANARY_WORDS, type Canary, makeCanary } from "../support/canary.ts";
import { testEnv } from "../support/env.ts";
import { testUnless } from "../support/gated.ts";
import { type Hostile, hostileInputs } from "../support/hostile-inputs.ts";
import { hostileParameters } from "../support/hostile-parameters.ts";
import { makeClip } from "../support/media.ts";
import { type RunnerKind, runnerOf, toRequest } from "../support/sandbox.ts";
import { makeKey, makeSite, type RunningServer, type Site, startServer } from "../support/server.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { within } from "../support/until.ts";

const TIMEOUT_MS = 30_000;
const AT_ONCE = 4;

let canary: Canary;
let site: Site;
let server: RunningServer;
let api: Api;
let all: readonly Hostile[];

async function furnish(folder: string, hostile: readonly Hostile[]): Promise<void> {
  await copyFile(await makeClip({ video: {}, audio: {} }), join(folder, "film.mp4"));
  await copyFile(await makeClip({ container: "png", video: {} }), join(folder, "logo.png"));
  await Bun.write(join(folder, "lines.srt"), "1\n00:00:00,200 --> 00:00:00,700\nA line.\n");
  for (const { files = {} } of hostile)
    for (const [name, content] of Object.entries(files)) {
      if (typeof content === "object" && "link" in content) await symlink(content.link, join(folder, name));
      else await Bun.write(join(folder, name), content);
    }
}

beforeAll(async () => {
  canary = await makeCanary();
  all = [...hostileInputs(canary), ...hostileParameters(canary)];
  site = await makeSite("embedded", { SANDBOX: "off", ALLOW_RAW_OPTIONS: "true" });
  await furnish(site.storage, all);
  const key = await makeKey(site);
  server = await startServer(site);
  api = makeApi(server.url, key);
  await canary.touched();
}, 60_000);
afterAll(() => server.stop());

const bodyOf = ({ body, files = {} }: Hostile): object =>
  body ?? { input: Object.keys(files)[0], output: "out.mp4", operations: [] };

/** Everything that a failure may say to a user, or that a user may fetch. */
async function answered({ body, files }: Hostile): Promise<string> {
  const answer = await api.call<ApiError & Job>("POST", "/convert", bodyOf({ body, files } as Hostile));
  if (answer.status !== 201) return JSON.stringify(answer);
  const job = await api.ended(answer.body.id);
  return JSON.stringify([job, await api.logs(job.id)]);
}

test("there are at least forty of them, and most would work", () => {
  expect(all.length).toBeGreaterThanOrEqual(60);
  expect(all.filter(({ works }) => works).length).toBeGreaterThanOrEqual(40);
});

/** All of them, a few at once, and again one by one where something was reached, to say which it was. */
async function expectNothing(attempt: (one: Hostile) => Promise<unknown>): Promise<void> {
  const left = [...all];
  const worker = async () => {
    for (let one = left.pop(); one !== undefined; one = left.pop()) await attempt(one);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  if ((await canary.touched()).length === 0) return;
  for (const one of all) {
    await attempt(one);
    expect([one.name, await canary.touched()]).toEqual([one.name, []]);
  }
  throw new Error("Something was reached, once.");
}

test("without a sandbox, none reaches anything through the API", async () => {
  await expectNothing(async (one) => {
    const words = await answered(one);
    expect([one.name, words]).toEqual([one.name, expect.not.stringMatching(/"status":5\d\d|internal/)]);
    expect(words).not.toContain(CANARY_WORDS);
  });
  // What became a film is the input's own, and nothing lies where nothing should.
  for (const name of await readdir(site.storage, { recursive: true })) expect(name).not.toContain("written");
}, 120_000);

/** A careless program's FFmpeg in a folder of its own. */
async function careless(one: Hostile, kind: RunnerKind, ffmpeg: string): Promise<void> {
  const workDir = join(await makeTempDir("hostile"), "work");
  await mkdir(workDir);
  await furnish(workDir, [one]);
  const args = ["-nostdin", "-v", "error", "-y", ...one.careless];
  const request = toRequest(ffmpeg, args, { workDir });
  const child = (await runnerOf(kind)).start(request);
  await within(child.exited, TIMEOUT_MS, one.name).finally(() => child.kill());
}

describe("careless about formats, protocols and escaping", () => {
  testUnless(
    "not Linux",
    "none reaches anything from the sandbox",
    async () => {
      const program = ({ name }: Hostile) => testEnv()[name.length % 2 === 0 ? "ffmpeg" : "ffmpeg9"];
      await expectNothing((one) => careless(one, "bubblewrap", program(one)));
    },
    120_000,
  );

  testUnless(
    "not Linux",
    "all that are said to work do without one, so that the layers are what stops them",
    async () => {
      const idle: string[] = [];
      for (const one of all) {
        await careless(one, "pdeathsig", testEnv().ffmpeg);
        const touched = await canary.touched();
        if (one.works !== touched.length > 0) idle.push(`${one.name}: ${touched.join(", ")}`);
      }
      expect(idle).toEqual([]);
    },
    120_000,
  );
});
