import { describe, expect, test } from "bun:test";
import { RendiffError } from "../errors.ts";
import { type LoggerOptions, makeLogger } from "./logger.ts";
import { toPretty } from "./pretty.ts";

function capture(options: Partial<LoggerOptions> = {}) {
  const lines: string[] = [];
  const logger = makeLogger({
    level: "debug",
    format: "json",
    destination: { write: (text) => void lines.push(text) },
    ...options,
  });
  const entries = () => lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  return { logger, lines, entries };
}

describe("JSON lines", () => {
  test("hold time, level, message and fields, one line each", () => {
    const { logger, lines, entries } = capture();
    logger.info({ port: 8000, text: "two\nlines" }, "listening");
    logger.warn("bare");
    expect(lines.every((line) => line.endsWith("\n") && line.indexOf("\n") === line.length - 1)).toBe(true);
    expect(entries()[0]).toMatchObject({ level: "info", port: 8000, text: "two\nlines", msg: "listening" });
    expect(String(entries()[0]?.time)).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/);
    expect(entries()[1]).toMatchObject({ level: "warn", msg: "bare" });
  });

  test("below the level are not written", () => {
    const { logger, lines } = capture({ level: "warn" });
    logger.trace("no");
    logger.debug("no");
    logger.info({}, "no");
    logger.warn("yes");
    expect(lines).toHaveLength(1);
    const silent = capture({ level: "silent" });
    silent.logger.fatal("no");
    expect(silent.lines).toEqual([]);
  });

  test("of a child say whom they are about", () => {
    const { logger, entries } = capture();
    logger.child({ jobId: "j", attempt: 2 }).child({ component: "ffmpeg" }).info({ x: 1 }, "hi");
    expect(entries()[0]).toMatchObject({ job_id: "j", attempt: 2, component: "ffmpeg", x: 1 });
    expect(entries()[0]).not.toHaveProperty("request_id");
  });

  test("of an error keep its kind, stack and cause", () => {
    const { logger, entries } = capture();
    const cause = new Error("the disk is gone");
    logger.error({ err: new RendiffError({ kind: "resource.disk", publicMessage: "No space.", cause }) }, "failed");
    const error = entries()[0]?.err as Record<string, unknown>;
    expect(error).toMatchObject({ kind: "resource.disk", message: "resource.disk: No space." });
    expect(error.stack).toContain("logger.test.ts");
    expect(error.cause).toMatchObject({ message: "the disk is gone" });
  });

  test("of a value that cannot be printed do not throw", () => {
    const { logger, lines } = capture();
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    logger.info({ circle, big: 10n }, "odd");
    expect(lines).toHaveLength(1);
  });
});

describe("secrets", () => {
  const SECRET = "hunter2hunter2hunter2";
  const OWN_KEY = 'operators"own-key-1';

  test.each([
    ["a key of ours in the message", (log: Capture) => log.info(`key rnd_0191-ab_${SECRET} used`)],
    ["a key of ours deep in a field", (log: Capture) => log.info({ a: { b: [`rnd_0191ab_${SECRET}`] } }, "x")],
    ["a webhook secret", (log: Capture) => log.info(`whsec_${SECRET}`)],
    ["the Authorization header", (log: Capture) => log.info({ headers: { authorization: `Bearer ${SECRET}` } }, "x")],
    ["a bearer in a text", (log: Capture) => log.info(`curl -H 'Authorization: Bearer ${SECRET}'`)],
    ["the X-API-Key header", (log: Capture) => log.info({ headers: { "X-API-Key": SECRET } }, "x")],
    ["X-API-Key in a text", (log: Capture) => log.info(`curl -H "X-API-Key: ${SECRET}" http://x`)],
    ["a cookie", (log: Capture) => log.info({ "set-cookie": SECRET }, "x")],
    ["fields by their names", (log: Capture) => log.info({ api_key: SECRET, password: SECRET, secret: SECRET }, "x")],
    ["camel case", (log: Capture) => log.info({ signingSecret: SECRET, apiKey: SECRET, s3AccessKeyId: SECRET }, "x")],
    [
      "a text's value with quotes",
      (log: Capture) => log.info({ body: JSON.stringify({ token: `a"b\\${SECRET}` }) }, "x"),
    ],
    ["a name with a prefix", (log: Capture) => log.info({ S3_SECRET_ACCESS_KEY: SECRET, DB_PASSWORD: SECRET }, "x")],
    ["a value with quotes", (log: Capture) => log.info({ password: `"\\${SECRET}"` }, "x")],
    ["a body that was logged as text", (log: Capture) => log.info({ body: JSON.stringify({ api_key: SECRET }) }, "x")],
    ["a URL's password", (log: Capture) => log.info({ url: `postgres://rendiff:${SECRET}@db:5432/x` }, "x")],
    ["a URL's token", (log: Capture) => log.info({ url: `/api/v1/files/1?x=1&token=${SECRET}` }, "x")],
    ["an error's message and stack", (log: Capture) => log.error({ err: new Error(`rnd_01_${SECRET}`) }, "x")],
    ["a child's name", (log: Capture) => log.child({ requestId: `rnd_01_${SECRET}` }).info("x")],
    ["the operator's own key in a text of JSON", (log: Capture) => log.info({ body: JSON.stringify([OWN_KEY]) }, "x")],
    ["the operator's own key", (log: Capture) => log.info({ note: OWN_KEY }, OWN_KEY)],
  ])("%s is masked", (_, write) => {
    for (const format of ["json", "pretty"] as const) {
      const { logger, lines } = capture({ format, color: false, secrets: [OWN_KEY] });
      write(logger);
      expect(lines).toHaveLength(1);
      expect(lines[0]).not.toContain(SECRET);
      expect(lines[0]).not.toMatch(/operators|own-key/);
      expect(lines[0]).toContain("[redacted]");
      if (format === "json") expect(() => JSON.parse(lines[0] ?? "")).not.toThrow();
    }
  });

  test("what is none stays", () => {
    const { logger, entries } = capture();
    const fields = { lease_token: 7, key_id: "0191", url: "https://example.com:8000/a?b=c", key: "out/a.mp4" };
    logger.info(fields, "the bearer of bad news; basic checks done");
    expect(entries()[0]).toMatchObject({ ...fields, msg: "the bearer of bad news; basic checks done" });
  });
});

type Capture = ReturnType<typeof capture>["logger"];

describe("lines for people", () => {
  test("hold the time of day, level, message, fields, and an error's stack below", () => {
    const { logger, lines } = capture({ format: "pretty", color: false });
    logger.info({ port: 8000, name: "two words" }, "listening");
    expect(lines[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} INFO {2}listening port=8000 name="two words"\n$/);
    logger.error({ err: new Error("outer", { cause: new Error("inner") }) }, "failed");
    expect(lines[1]).toMatch(/ERROR failed\n {4}Error: outer\n[\s\S]* {4}Error: inner\n/);
  });

  test("are coloured only when asked", () => {
    const line = '{"level":"warn","time":"2026-01-01T00:00:00.000Z","msg":"careful"}\n';
    expect(toPretty(line, { color: true })).toContain("\u001b[33mWARN \u001b[0m");
    expect(toPretty(line, { color: false })).toBe("00:00:00.000 WARN  careful\n");
  });

  test("leave alone what is no entry", () => {
    expect(toPretty("plain", { color: false })).toBe("plain\n");
  });
});
