/** `/docs` in a real browser: it says nothing on the console, lists every operation, and a call tried there works. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Page } from "puppeteer-core";
import { openBrowser } from "../support/browser.ts";
import { makeKey, makeSite, type RunningServer, startServer } from "../support/server.ts";

const problems: string[] = [];
let server: RunningServer;
let page: Page;
let key = "";

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly summary: string }>>>>;
}

beforeAll(async () => {
  const site = await makeSite("embedded");
  key = await makeKey(site);
  server = await startServer(site);
  page = await (await openBrowser()).newPage();
  page.on("console", (message) => void (message.type() === "error" && problems.push(message.text())));
  page.on("pageerror", (error) => void problems.push(String(error)));
  page.on("requestfailed", (request) => void problems.push(`${request.url()}: ${request.failure()?.errorText}`));
  page.on("request", (request) => {
    // Everything comes from the server itself: the page works where there is no internet.
    if (!request.url().startsWith(server.url) && !request.url().startsWith("data:")) problems.push(request.url());
  });
  await page.goto(`${server.url}/docs`);
  await page.waitForSelector("section > details");
}, 90_000);

afterAll(() => server[Symbol.asyncDispose](), 60_000);

/** Opens an operation's part of the page and returns its selector. */
async function open(text: string): Promise<string> {
  const selector = `section > details[data-text^="${text} "]`;
  await page.click(`${selector} > summary`);
  await page.waitForSelector(`${selector} h4`);
  return selector;
}

/** What is shown below an operation, once it begins with `status` and has a body. */
async function answerOf(selector: string, status: number): Promise<string> {
  const pre = `${selector} div > pre`;
  const text = `document.querySelector(${JSON.stringify(pre)})?.textContent ?? ""`;
  await page.waitForFunction(`/^${status}[\\s\\S]*\\n\\n[\\s\\S]*\\S/.test(${text})`);
  return page.$eval(pre, (shown) => shown.textContent ?? "");
}

test("every operation of the document is listed", async () => {
  const document = (await (await fetch(`${server.url}/openapi.json`)).json()) as Document;
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { summary }]) => `${method.toUpperCase()}${path} ${summary}`),
  );
  const shown = await page.$$eval("section > details > summary", (all) => all.map((one) => one.textContent));
  expect(shown.toSorted()).toEqual(operations.toSorted());
  expect(shown.length).toBeGreaterThan(40);
});

test("what is looked for is found", async () => {
  await page.type("#find", "waits");
  const left = await page.$$eval("section > details:not([hidden])", (all) => all.length);
  await page.$eval("#find", (input) => {
    (input as unknown as { value: string }).value = "";
    input.dispatchEvent(new Event("input"));
  });
  const all = await page.$$eval("section > details:not([hidden])", (found) => found.length);
  expect(left).toBeLessThan(all);
});

test("calls can be tried: without a key, with one, and with a body", async () => {
  const list = await open("get /api/v1/jobs");
  await page.click(`${list} button`);
  expect(await answerOf(list, 401)).toContain("AUTH_ERROR");
  await page.type("#key", key);
  await page.click(`${list} button`);
  expect(await answerOf(list, 200)).toContain('"items": []');
  const convert = await open("post /api/v1/convert");
  await page.click(`${convert} button`);
  expect(await answerOf(convert, 201)).toContain('"status": "queued"');
}, 60_000);

test("the page and its calls leave no error on the console", () => {
  // The browser itself reports the 401 that was asked for.
  expect(problems.filter((problem) => !/status of 401/.test(problem))).toEqual([]);
});
