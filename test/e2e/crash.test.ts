/** kill -9 of the server at any moment: no job is lost or doubled, no output is broken, nothing is left behind. */
import { describe, expect, test } from "bun:test";
import { type Api, makeApi } from "../support/api.ts";
import { testEnv } from "../support/env.ts";
import { mediaProcessesWith } from "../support/processes.ts";
import { makeKey, makeSite, PROFILES, type RunningServer, startServer, untilClean } from "../support/server.ts";
import { until } from "../support/until.ts";
import { ffprobe, passTime, put, stored } from "./harness.ts";

const FINAL_EVENT = /^job\.(completed|failed|cancelled)$/;
const ROUNDS = testEnv().long ? 30 : 10;
const STREAM_KILLS = testEnv().long ? 30 : 4;
const JOBS_PER_KILL = 5;
/** Crashes are what happens here: none of them is the job's fault. */
const ENV = { POISON_AFTER: "1000", LEASE_TTL: "1500ms" };

/** Long enough to be hit while FFmpeg encodes it, short enough to be encoded again and again. */
const CLIP = { durationSeconds: 12, video: { width: 320, height: 240 } } as const;

const encode = (input: string, output: string) => ({
  input,
  output,
  operations: [{ type: "transcode", video_codec: "h264", preset: "medium", crf: 23 }],
});

async function expectOneEnd(api: Api, id: string): Promise<void> {
  const events = await api.logs(id);
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
  expect(events.filter(({ type }) => FINAL_EVENT.test(type))).toHaveLength(1);
  expect(events.at(-1)?.type).toMatch(FINAL_EVENT);
}

async function killHard(server: RunningServer): Promise<void> {
  await server.kill();
  await until(() => mediaProcessesWith(server.site.folder).length === 0, {
    timeoutMs: 2_000,
    what: "FFmpeg to die with its server",
  });
}

for (const profile of PROFILES) {
  describe(`kill -9 of the server (${profile})`, () => {
    test(
      `mid-encode, ${ROUNDS} times: the job completes after the next start`,
      async () => {
        const site = await makeSite(profile, ENV);
        const key = await makeKey(site);
        const input = await put(site, "in.mp4", CLIP);
        let server = await startServer(site);
        for (let round = 0; round < ROUNDS; round++) {
          const output = `round-${round}.mp4`;
          const before = makeApi(server.url, key);
          const { id } = await before.convert(encode(input, output));
          await until(() => server.media().some(({ commandLine }) => commandLine.includes("libx264")), {
            timeoutMs: 20_000,
            intervalMs: 5,
          }).catch(async () => {
            throw new Error(`FFmpeg was not seen: ${JSON.stringify(await before.job(id))}\n${await server.log()}`);
          });
          await killHard(server);
          server = await startServer(site);
          const api = makeApi(server.url, key);
          const job = await api.ended(id, 60_000);
          expect([round, job.status, job.error]).toEqual([round, "completed", null]);
          expect(job.attempt).toBeGreaterThan(1);
          await expectOneEnd(api, id);
          expect(Number(ffprobe(stored(site, output)).streams[0]?.nb_read_packets)).toBe(300);
          await untilClean(site);
        }
        expect(await server.stop()).toBe(0);
      },
      ROUNDS * 30_000,
    );

    test(
      "at random moments of a stream of short jobs: each acknowledged one ends once",
      async () => {
        const site = await makeSite(profile, ENV);
        const key = await makeKey(site);
        const input = await put(site, "in.mp4", { durationSeconds: 2 });
        const ids = new Map<string, string>();
        let server = await startServer(site);
        for (let kill = 0; kill < STREAM_KILLS; kill++) {
          const api = makeApi(server.url, key);
          for (let i = 0; i < JOBS_PER_KILL; i++) {
            const output = `stream-${kill}-${i}.mp4`;
            ids.set((await api.convert(encode(input, output))).id, output);
          }
          await passTime(Math.random() * 1_500);
          await killHard(server);
          server = await startServer(site);
        }
        const api = makeApi(server.url, key);
        for (const [id, output] of ids) {
          const job = await api.ended(id, 60_000);
          expect([output, job.status, job.error]).toEqual([output, "completed", null]);
          await expectOneEnd(api, id);
          const [stated] = await api.outputs(id);
          const bytes = await Bun.file(stored(site, output)).bytes();
          expect(stated?.sha256).toBe(new Bun.CryptoHasher("sha256").update(bytes).digest("hex"));
          expect(Number(ffprobe(stored(site, output)).streams[0]?.nb_read_packets)).toBe(50);
        }
        await untilClean(site);
        expect(await server.stop()).toBe(0);
      },
      STREAM_KILLS * 60_000,
    );
  });
}
