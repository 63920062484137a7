import { expect, test } from "bun:test";
import { readBody, readJson } from "./body.ts";

type Body = Blob | string | Uint8Array<ArrayBuffer> | ReadableStream;

function post(body: Body | null, headers: Record<string, string> = {}): Request {
  return new Request("http://localhost/", { method: "POST", body, headers });
}

test("a body that declares too much is refused before it is read", async () => {
  let pulled = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      pulled++;
      controller.enqueue(new Uint8Array(1024));
    },
  });
  const request = post(endless, { "content-length": "5000" });
  await expect(readBody(request, 4096)).rejects.toMatchObject({ kind: "request.too_large" });
  expect(pulled).toBeLessThanOrEqual(2);
});

test("a chunked body is refused as soon as it is too large, and its sender is told to stop", async () => {
  let pulled = 0;
  let cancelled = false;
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      pulled++;
      controller.enqueue(new Uint8Array(1024));
    },
    cancel() {
      cancelled = true;
    },
  });
  await expect(readBody(post(endless), 4096)).rejects.toMatchObject({ kind: "request.too_large" });
  expect(pulled).toBeLessThan(20);
  expect(cancelled).toBe(true);
});

test("a body of just the limit is taken", async () => {
  expect((await readBody(post("x".repeat(100)), 100)).byteLength).toBe(100);
});

test("JSON that cannot be kept or walked is refused by name", async () => {
  const refused: readonly Body[] = [
    "",
    "{",
    "[1,]",
    '"\\u0000"',
    '{"\\u0000":1}',
    '{"a":"\\ud800"}',
    "[".repeat(100_000),
    `${"[".repeat(100)}${"]".repeat(100)}`,
    new Uint8Array([0x22, 0xff, 0xfe, 0x22]),
  ];
  for (const body of refused) {
    await expect(readJson(post(body), 1_000_000)).rejects.toMatchObject({ kind: "request.invalid" });
  }
});

test("an object has a thousand fields at most, wherever it is", async () => {
  const fields = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`f${index}`, 1]));
  const read = (value: unknown) => readJson(post(JSON.stringify(value)), 1_000_000);
  await expect(read({ a: [fields(1_001)] })).rejects.toMatchObject({ kind: "request.invalid" });
  expect((await read({ a: [fields(1_000)], b: Array.from({ length: 5_000 }, () => 1) })).bytes.length).toBeGreaterThan(
    1,
  );
});

test("a body that is broken off is the client's fault and not ours", async () => {
  const broken = () =>
    new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(new Uint8Array(10));
      },
      pull() {
        throw new DOMException("The connection was closed.", "AbortError");
      },
    });
  for (const headers of [{}, { "content-length": "100" }]) {
    await expect(readBody(post(broken(), headers), 1_000)).rejects.toMatchObject({ kind: "request.invalid" });
  }
});

test("a body says that it is JSON, or nothing", async () => {
  expect((await readJson(post(new Blob(["{}"])), 100)).value).toEqual({});
  const typed = post("{}", { "content-type": "application/json; charset=utf-8" });
  expect((await readJson(typed, 100)).value).toEqual({});
  const form = post("{}", { "content-type": "application/x-www-form-urlencoded" });
  await expect(readJson(form, 100)).rejects.toMatchObject({ kind: "request.invalid" });
});
