/** One server per file and profile, and what the scenarios have in common. */
import { afterAll, beforeAll, describe } from "bun:test";
import { copyFile, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Api, makeApi, type Probed } from "../support/api.ts";
import { testEnv } from "../support/env.ts";
import { type ClipSpec, makeClip } from "../support/media.ts";
import {
  makeKey,
  makeSite,
  PROFILES,
  type Profile,
  type RunningServer,
  type Site,
  startServer,
} from "../support/server.ts";

export interface Stage {
  readonly profile: Profile;
  readonly site: Site;
  readonly server: RunningServer;
  /** A user's key. */
  readonly api: Api;
  /** Another tenant's. */
  readonly other: Api;
}

export const START_TIMEOUT_MS = 90_000;

type Scenarios = (stage: () => Stage) => void;
type Env = Readonly<Record<string, string>>;

/** Runs the same scenarios embedded and on Postgres; `stage` answers inside tests only. */
export const inBothProfiles = (name: string, scenarios: Scenarios, env: Env = {}): void =>
  inProfiles(PROFILES, name, scenarios, env);

/** The same with replicas too, where it matters which process answers and which one works. */
export const inAllProfiles = (name: string, scenarios: Scenarios, env: Env = {}): void =>
  inProfiles([...PROFILES, "cluster"], name, scenarios, env);

export function inProfiles(profiles: readonly Profile[], name: string, scenarios: Scenarios, env: Env): void {
  for (const profile of profiles) {
    describe(`${name} (${profile})`, () => {
      let stage: Stage | null = null;
      beforeAll(async () => {
        const site = await makeSite(profile, env);
        const keys = [await makeKey(site), await makeKey(site)] as const;
        const server = await startServer(site);
        const [api, other] = [makeApi(server.url, keys[0]), makeApi(server.url, keys[1])];
        stage = { profile, site, server, api, other };
      }, START_TIMEOUT_MS);
      afterAll(async () => {
        await stage?.server[Symbol.asyncDispose]();
      });
      scenarios(() => {
        if (stage === null) throw new Error("The server has not started.");
        return stage;
      });
    });
  }
}

/** A clip in the storage, under a key of its own; returns the key. */
export async function put(site: Site, key: string, clip: ClipSpec = {}): Promise<string> {
  const path = join(site.storage, key);
  await mkdir(dirname(path), { recursive: true });
  await copyFile(await makeClip(clip), path);
  return key;
}

/** What the system's ffprobe says of a file in the storage, with every packet read. */
export function ffprobe(path: string): Probed {
  const args = ["-v", "error", "-count_packets", "-show_streams", "-show_format", "-of", "json", `file:${path}`];
  const { exitCode, stdout, stderr } = Bun.spawnSync([testEnv().ffprobe, ...args], { timeout: 30_000 });
  if (exitCode !== 0) throw new Error(`ffprobe ended with ${exitCode}: ${stderr}`);
  return JSON.parse(stdout.toString()) as Probed;
}

export const stored = ({ storage }: Site, key: string): string => join(storage, key);

/** Twelve seconds of a moving picture: real work for any encoder. */
export const SLOW_CLIP: ClipSpec = { durationSeconds: 12, video: { width: 640, height: 480 } };

/** Takes minutes: has to be cancelled or killed. */
export const slowJob = (input: string, output: string): object => ({
  input,
  output,
  operations: [{ type: "transcode", video_codec: "h265", preset: "veryslow", crf: 1, width: 1280, height: 960 }],
});

/** A second or two. */
export const shortEncode = (input: string, output: string): object => ({
  input,
  output,
  operations: [{ type: "transcode", video_codec: "h264", preset: "medium", crf: 20 }],
});

/**
 * Lets `ms` pass so that what follows hits a job at another moment. Not a wait: no test relies on anything having happened
 * meanwhile, and each has to hold for every moment.
 */
export const passTime = (ms: number): Promise<void> => Bun.sleep(ms);
