/** A real Chromium without a screen, and a page server on loopback for it. */
import { join, resolve } from "node:path";
import puppeteer, { type Browser, type Page } from "puppeteer-core";
import { afterFile } from "./cleanup.ts";
import { makeTempDir } from "./temp-dir.ts";

const ROOT = resolve(import.meta.dir, "../..");
const PLAYERS: Readonly<Record<string, string>> = {
  "/": join(import.meta.dir, "player.html.txt"),
  "/hls.js": join(ROOT, "node_modules/hls.js/dist/hls.min.js"),
  "/shaka.js": join(ROOT, "node_modules/shaka-player/dist/shaka-player.compiled.js"),
};
const TYPES: Readonly<Record<string, string>> = {
  "/": "text/html",
  "/hls.js": "text/javascript",
  "/shaka.js": "text/javascript",
};

function program(): string {
  const path = Bun.which("chromium") ?? Bun.which("chromium-browser") ?? Bun.which("google-chrome");
  if (path === null) throw new Error("chromium is not on PATH: run this test through ./dev test, which installs it.");
  return path;
}

/** One browser for a test file; closed with it. */
export async function openBrowser(): Promise<Browser> {
  const folder = await makeTempDir("chromium");
  const browser = await puppeteer.launch({
    executablePath: program(),
    headless: true,
    userDataDir: join(folder, "profile"),
    // What it leaves in the temporary folder of the system goes with its own.
    env: { HOME: folder, TMPDIR: folder, XDG_RUNTIME_DIR: folder, PATH: "/usr/bin:/bin" },
    args: ["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required", "--disable-dev-shm-usage"],
  });
  afterFile(() => browser.close());
  return browser;
}

export interface PlayerPage {
  readonly page: Page;
  /** Of the served folder, with a slash at its end. */
  readonly url: string;
  /** Paths that were asked for and are not there. */
  readonly missing: readonly string[];
}

/** A page with both players, beside a folder of media from the same origin. */
export async function openPlayer(browser: Browser, folder: string): Promise<PlayerPage> {
  const missing: string[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const { pathname } = new URL(request.url);
      const own = PLAYERS[pathname];
      if (own !== undefined) return new Response(Bun.file(own), { headers: { "content-type": TYPES[pathname] ?? "" } });
      const file = Bun.file(join(folder, pathname.replace(/^\/media\//, "")));
      if (pathname.startsWith("/media/") && (await file.exists())) return new Response(file);
      if (pathname !== "/favicon.ico") missing.push(pathname);
      return new Response(null, { status: 404 });
    },
  });
  afterFile(() => server.stop(true));
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${server.port}/`);
  return { page, url: `http://127.0.0.1:${server.port}/media/`, missing };
}
