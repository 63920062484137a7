/**
 * Packages in a real browser: every rendition is played, and told by a colour that the test paints into it before it is
 * encoded, so that what is seen is what was decoded and not what a playlist says.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import type { Browser } from "puppeteer-core";
import { keyIdOf } from "../../src/ffmpeg/package/key-flags.ts";
import type { PlanStep } from "../../src/media/types.ts";
import { openBrowser, openPlayer, type PlayerPage } from "../support/browser.ts";
import { KEY, type MadePackage, makePackage } from "../support/packages.ts";
import { until } from "../support/until.ts";

interface State {
  readonly label: string;
  readonly size: string;
  readonly time: number;
  readonly frames: number;
  readonly ended: boolean;
  readonly error: string | null;
}

const SECONDS = 8;
const LABELS = ["red", "green", "blue"] as const;
const HEIGHTS = [180, 120, 90] as const;
const WAIT = { timeoutMs: 20_000, intervalMs: 50 };
const CLIP = {
  durationSeconds: SECONDS,
  video: { width: 320, height: 180 },
  audio: { channels: 2, frequency: 300 },
} as const;
const STREAM = {
  segment_duration: 1,
  variants: HEIGHTS.map((height, index) => ({ height, bitrate: 200_000 / (index + 1) })),
};

/** Paints each rendition's label into its upper left quarter, at the last step before its encoder. */
function labelled(step: PlanStep): PlanStep {
  const paint = (graph: string): string =>
    LABELS.reduce(
      (text, color, index) =>
        text.replace(
          `[v${index}]`,
          `,drawbox=x=0:y=0:w=iw/2:h=ih/2:color=${color === "green" ? "0x008000" : color}:t=fill[v${index}]`,
        ),
      graph,
    );
  if (step.filterGraph === null) return step;
  const args = step.args.map((arg) => (arg === step.filterGraph ? paint(arg) : arg));
  return { ...step, args };
}

let browser: Browser;
beforeAll(async () => {
  browser = await openBrowser();
});

async function stateOf({ page }: PlayerPage): Promise<State> {
  const state = (await page.evaluate("state()")) as State;
  if (state.label !== "rgb(0,0,0)") return state;
  const video = await page.$("video");
  const photograph = await video?.screenshot({ encoding: "base64" });
  return { ...state, label: (await page.evaluate(`labelOf("${photograph}")`)) as string };
}

/** Waits until the picture is the wanted rendition's and moves on. */
async function plays(player: PlayerPage, index: number, beyondSeconds = 0): Promise<State> {
  const first = await until(
    async () => {
      const state = await stateOf(player);
      if (state.error !== null) throw new Error(state.error);
      return state.label === LABELS[index] && state.time >= beyondSeconds && state;
    },
    { ...WAIT, what: `the ${LABELS[index]} rendition` },
  );
  return until(
    async () => {
      const state = await stateOf(player);
      return state.frames >= first.frames + 5 && state.label === LABELS[index] && state;
    },
    { ...WAIT, what: `five frames more of the ${LABELS[index]} rendition` },
  );
}

async function watch(player: PlayerPage, choose: "chooseHls" | "chooseShaka"): Promise<void> {
  const { page } = player;
  const pick = (index: number): Promise<unknown> => page.evaluate(`${choose}(${HEIGHTS[index]})`);
  await pick(1);
  const start = await plays(player, 1);
  expect(start.size).toEndWith("x120");
  await page.evaluate("seek(5)");
  expect((await plays(player, 1, 5)).time).toBeLessThan(SECONDS);
  await page.evaluate("seek(1)");
  await pick(0);
  expect((await plays(player, 0)).size).toBe("320x180");
  await pick(2);
  expect((await plays(player, 2)).size).toEndWith("x90");
  await page.evaluate(`seek(${SECONDS - 1})`);
  await until(async () => (await stateOf(player)).ended, { ...WAIT, what: "the end" });
  const state = await stateOf(player);
  expect(state.error).toBeNull();
  expect(state.time).toBeCloseTo(SECONDS, 0);
  await page.evaluate("stopPlaying()");
  expect(player.missing).toEqual([]);
}

/** The line that the browser shows, whichever player brought it. */
async function shownCaption({ page }: PlayerPage, choose: string): Promise<string> {
  await page.evaluate(`{ ${choose}; void chooseHls(${HEIGHTS[1]}); }`);
  return until(() => page.evaluate("caption()") as Promise<string>, { ...WAIT, what: "a caption" });
}

async function packaged(
  stream: Readonly<Record<string, unknown>>,
  captions: readonly string[] = [],
): Promise<MadePackage> {
  const made = await makePackage({ clip: CLIP, captions, stream: { ...STREAM, ...stream }, changeStep: labelled });
  await made.finish();
  return made;
}

describe("in Chromium", () => {
  test("the same segments play through hls.js and through Shaka Player, in every rendition", async () => {
    const captions = [{ path: "de.srt", language: "de" }];
    const made = await packaged({ format: "both", captions }, ["1\n00:00:00,500 --> 00:00:07,500\nGrüße\n"]);
    const player = await openPlayer(browser, made.folder);
    const levels = (await player.page.evaluate(`startHls("${player.url}master.m3u8")`)) as { height: number }[];
    expect(levels.map(({ height }) => height).sort()).toEqual([120, 180, 90]);
    expect(await shownCaption(player, "hls.subtitleTrack = 0")).toBe("Grüße");
    await watch(player, "chooseHls");
    const tracks = (await player.page.evaluate(`startShaka("${player.url}manifest.mpd")`)) as { height: number }[];
    expect(tracks.map(({ height }) => height).sort()).toEqual([120, 180, 90]);
    await watch(player, "chooseShaka");
  }, 90_000);

  test("transport streams encrypted with AES-128 play with the key that the playlists name", async () => {
    const made = await packaged({ format: "hls", container: "ts", encryption: "aes-128", key_uri: KEY.uri });
    const player = await openPlayer(browser, made.folder);
    let asked = 0;
    // The playlists name a host that is not there: the test answers for it.
    await player.page.setRequestInterception(true);
    player.page.on("request", (request) => {
      if (request.url() !== KEY.uri) return void request.continue();
      asked += 1;
      const headers = { "access-control-allow-origin": "*" };
      void request.respond({ status: 200, body: Buffer.from(KEY.bytes), headers });
    });
    await player.page.evaluate(`startHls("${player.url}master.m3u8")`);
    await watch(player, "chooseHls");
    expect(asked).toBeGreaterThan(0);
  }, 60_000);

  test("segments encrypted with cbcs play with their key, and not with another", async () => {
    const made = await packaged({ format: "both", encryption: "cbcs", key_uri: KEY.uri });
    const hex = Buffer.from(KEY.bytes).toString("hex");
    const manifest = await Bun.file(`${made.folder}/manifest.mpd`).text();
    const id = /default_KID="([0-9a-f-]+)"/.exec(manifest)?.[1]?.replaceAll("-", "");
    expect(id).toBe(keyIdOf(KEY));
    const player = await openPlayer(browser, made.folder);
    const start = (key: string): Promise<unknown> =>
      player.page.evaluate(`startShaka("${player.url}manifest.mpd", { "${id}": "${key}" })`);
    await start(hex);
    await watch(player, "chooseShaka");
    await start(hex.replaceAll("7", "8")).catch(() => {});
    await player.page.evaluate(`chooseShaka(120).catch(() => {})`);
    const failed = await until(async () => (await stateOf(player)).error, { ...WAIT, what: "the wrong key to fail" });
    expect(failed).toStartWith("shaka ");
  }, 60_000);
});
