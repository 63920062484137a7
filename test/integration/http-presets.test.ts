/** Presets of one's own on both engines: checked when they are stored, versioned, and merged into what is asked for. */
import { describe, expect, test } from "bun:test";
import { ENGINES, openTestDatabase } from "../faults/protocol-harness.ts";
import { sampleCapabilities } from "../support/capabilities.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { makeTestHttp } from "./http-harness.ts";

const SMALL = {
  description: "Small and quick.",
  operations: [
    { type: "scale", height: 360 },
    { type: "transcode", video_codec: "h264", crf: 30 },
  ],
  options: { faststart: false },
};

describe.each([...ENGINES])("presets on %s", async (engine) => {
  const { sql } = await openTestDatabase(engine);
  const http = makeTestHttp({
    sql,
    root: await makeTempDir("http-presets"),
    services: { capabilities: () => sampleCapabilities(9) },
  });
  const { key } = await http.key();
  const other = await http.key();
  const call = async (method: string, path: string, json?: unknown, as = key, headers: Record<string, string> = {}) => {
    const answer = await http.call(method, path, { key: as, headers, ...(json === undefined ? {} : { json }) });
    const text = await answer.text();
    return { status: answer.status, body: (text === "" ? null : JSON.parse(text)) as Record<string, unknown> };
  };
  const convert = (preset: string, more: object = {}, as = key) =>
    call("POST", "/convert", { input_path: "a.mov", output_path: "b.mp4", options: { preset }, ...more }, as);

  test("one is stored, read, listed after the built-in ones, and merged into a request that names it", async () => {
    const made = await call("POST", "/presets", { name: "small", ...SMALL });
    expect([made.status, made.body]).toMatchObject([201, { name: "small", version: 1, built_in: false, ...SMALL }]);
    expect((await call("GET", "/presets/small")).body).toEqual(made.body);
    const { items } = (await call("GET", "/presets")).body as { items: { name: string; built_in: boolean }[] };
    expect(items.filter((item) => !item.built_in).map(({ name }) => name)).toEqual(["small"]);
    expect(items[0]).toMatchObject({ name: "web", built_in: true });
    const job = await convert("small", { operations: [{ type: "transcode", video_codec: "h264", crf: 18 }] });
    expect([job.status, job.body]).toMatchObject([
      201,
      {
        operations: [
          { type: "transcode", crf: 18 },
          { type: "scale", height: 360 },
        ],
        options: { preset: "small@1", faststart: false },
      },
    ]);
    const batch = {
      items: [{ type: "convert", input_path: "a.mov", output_path: "c.mp4", options: { preset: "small" } }],
    };
    expect((await call("POST", "/batch", batch)).body).toMatchObject({ jobs: [{ options: { preset: "small@1" } }] });
  });

  test("one whose operations name further files is taken without them", async () => {
    const captions = [{ path: "local://de.srt", language: "de" }];
    for (const [n, operation] of [
      { type: "stream", captions },
      { type: "watermark", image: "a.png" },
    ].entries()) {
      const preset = { ...SMALL, name: `further-${n}`, operations: [operation], options: {} };
      expect(await call("POST", "/presets", preset)).toMatchObject({ status: 201 });
    }
  });

  test("a change is another version; each can be named, and a job keeps what it was made with", async () => {
    await call("POST", "/presets", { name: "grows", ...SMALL });
    const first = await convert("grows");
    const change = { ...SMALL, operations: [{ type: "scale", height: 240 }] };
    expect((await call("PUT", "/presets/grows", change)).body).toMatchObject({ version: 2 });
    expect((await call("GET", `/jobs/${first.body.id}`)).body).toMatchObject({ options: { preset: "grows@1" } });
    expect((await convert("grows")).body).toMatchObject({
      ...{ options: { preset: "grows@2" }, operations: [{ type: "scale", height: 240 }] },
    });
    expect((await convert("grows@1")).body).toMatchObject({ options: { preset: "grows@1" } });
    expect((await convert("grows@3")).status).toBe(400);
    expect((await call("GET", "/presets/grows?version=1")).body).toMatchObject({ version: 1, ...SMALL });
    expect((await call("DELETE", "/presets/grows")).status).toBe(204);
    expect((await call("GET", "/presets/grows")).status).toBe(404);
    expect((await call("DELETE", "/presets/grows")).status).toBe(404);
    expect((await convert("grows")).status).toBe(400);
    expect((await call("POST", "/presets", { name: "grows", ...SMALL })).body).toMatchObject({ version: 4 });
  });

  test("the built-in ones are read-only", async () => {
    expect((await call("GET", "/presets/web")).body).toMatchObject({ built_in: true, created_at: null });
    expect((await call("PUT", "/presets/web", SMALL)).status).toBe(409);
    expect((await call("DELETE", "/presets/web")).status).toBe(409);
    expect((await call("POST", "/presets", { name: "web", ...SMALL })).status).toBe(409);
  });

  test("what could never run is refused when it is stored, by its place", async () => {
    const cases: readonly [object, number, string][] = [
      [{ operations: [{ type: "transcode", video_codec: "h264", crf: 99 }] }, 400, "operations[0].crf"],
      [{ operations: [{ type: "scal" }] }, 400, "operations[0].type"],
      [{ options: { faststat: true } }, 400, "options.faststat"],
      [{ options: { preset: "web" } }, 400, "options.preset"],
      [{ name: "Not A Name" }, 400, "name"],
      [{ options: { format: "mp3" }, operations: [{ type: "transcode", video_codec: "h264" }] }, 400, "operations[0]"],
    ];
    for (const [overrides, status, path] of cases) {
      const answer = await call("POST", "/presets", { name: "bad", ...overrides });
      const { details } = answer.body.error as { details: { path: string }[] };
      expect([overrides, answer.status, details[0]?.path.startsWith(path)]).toEqual([overrides, status, true]);
    }
    expect(
      (await call("POST", "/presets", { name: "sound", operations: [{ type: "audio", extract: true }] })).status,
    ).toBe(201);
  });

  test("another tenant's presets are not there", async () => {
    await call("POST", "/presets", { name: "mine", ...SMALL });
    expect((await call("GET", "/presets/mine", undefined, other.key)).status).toBe(404);
    expect((await call("PUT", "/presets/mine", SMALL, other.key)).status).toBe(404);
    expect((await convert("mine", {}, other.key)).status).toBe(400);
    expect((await call("POST", "/presets", { name: "mine", ...SMALL }, other.key)).status).toBe(201);
  });

  test("of several changes at once each is a version of its own, or is told to try again", async () => {
    await call("POST", "/presets", { name: "busy", ...SMALL });
    const answers = await Promise.all(Array.from({ length: 10 }, () => call("PUT", "/presets/busy", SMALL)));
    const done = answers.filter(({ status }) => status === 200).map(({ body }) => body.version);
    expect(new Set(done).size).toBe(done.length);
    expect(answers.every(({ status }) => status === 200 || status === 409)).toBe(true);
    expect((await call("POST", "/presets", { name: "busy", ...SMALL })).status).toBe(409);
    const once = { "idempotency-key": "a-preset" };
    const first = await call("POST", "/presets", { name: "once", ...SMALL }, key, once);
    expect(await call("POST", "/presets", { name: "once", ...SMALL }, key, once)).toEqual(first);
  });
});
