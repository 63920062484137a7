/** Uploads over a real server: tus with its own client, and what is refused. */
import { describe, expect, test } from "bun:test";
import { appendFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { Upload as TusClient } from "tus-js-client";
import { makeUploadBytes } from "../../src/uploads/bytes.ts";
import type { UploadsPorts } from "../../src/uploads/uploads.ts";
import {
  bytesOf,
  codeOf,
  convert,
  idOf,
  LIMIT,
  listOf,
  makeUploadSite,
  OFFSET,
  TUS,
  takeThenFail,
  type View,
} from "./uploads-harness.ts";

const site = await makeUploadSite();
const { root, http, key, other, uploads, makeService, url, ask, begin, append, offsetOf, view, stored, sendPart } =
  site;

describe("a resumable upload", () => {
  test("in two parts, of which a job can read the whole", async () => {
    const bytes = bytesOf(100_000);
    const at = await begin(bytes.length, { "upload-metadata": `filename ${btoa("a film.mp4")}` });
    expect(await view(at)).toMatchObject({ name: "a film.mp4", status: "receiving", bytes: 100_000, offset: 0 });
    const first = await append(at, 0, bytes.slice(0, 40_000));
    expect([first.status, first.headers.get("upload-offset")]).toEqual([204, "40000"]);
    expect(first.headers.get("upload-expires")).toMatch(/GMT$/);
    const early = await ask("POST", "/convert", convert(at));
    expect(await codeOf(early)).toBe("409 CONFLICT");
    expect((await append(at, 40_000, bytes.slice(40_000))).status).toBe(204);
    expect(await view(at)).toMatchObject({ status: "complete", offset: 100_000, media_type: "video/mp4" });
    expect(await stored(at)).toEqual(bytes);
    const job = (await (await ask("POST", "/convert", convert(at))).json()) as { input_path: string };
    expect(job.input_path).toBe(`upload://${idOf(at)}`);
  });

  test("by tus's own client, in chunks", async () => {
    const bytes = bytesOf(1_000_000);
    const at = await new Promise<string>((resolve, reject) => {
      const client = new TusClient(Buffer.from(bytes), {
        ...{ endpoint: url("/uploads"), chunkSize: 300_000, headers: { "x-api-key": key } },
        ...{ metadata: { filename: "chunks.bin" }, retryDelays: [10, 10], onError: reject },
        onSuccess: () => resolve(client.url ?? ""),
      });
      client.start();
    });
    expect(await view(at)).toMatchObject({ name: "chunks.bin", status: "complete", bytes: 1_000_000 });
    expect(await stored(at)).toEqual(bytes);
  });

  test("by tus's own client, taken up again by another after a stop", async () => {
    const bytes = bytesOf(900_000);
    const options = { endpoint: url("/uploads"), chunkSize: 200_000, headers: { "x-api-key": key }, retryDelays: [10] };
    const started = Promise.withResolvers<string>();
    const first = new TusClient(Buffer.from(bytes), {
      ...options,
      onChunkComplete: () => started.resolve(first.url ?? ""),
    });
    first.start();
    const at = await started.promise;
    await first.abort();
    expect(await offsetOf(at)).toBeGreaterThanOrEqual(200_000);
    await new Promise<void>((resolve, reject) => {
      const rest = { uploadUrl: at, onError: reject, onSuccess: () => resolve() };
      new TusClient(Buffer.from(bytes), { ...options, ...rest }).start();
    });
    expect(await stored(at)).toEqual(bytes);
    expect((await view(at)).status).toBe("complete");
  });

  test("by tus's own client, of a length that is known only at the end", async () => {
    const bytes = bytesOf(500_000);
    const at = await new Promise<string>((resolve, reject) => {
      const client = new TusClient(Readable.from([Buffer.from(bytes)]), {
        ...{ endpoint: url("/uploads"), chunkSize: 200_000, headers: { "x-api-key": key }, retryDelays: [10] },
        ...{ uploadLengthDeferred: true, onError: reject, onSuccess: () => resolve(client.url ?? "") },
      });
      client.start();
    });
    expect(await stored(at)).toEqual(bytes);
    expect(await view(at)).toMatchObject({ status: "complete", bytes: 500_000 });
  });

  test("with its bytes in the first request, and one of none", async () => {
    const bytes = bytesOf(5_000);
    const answer = await ask("POST", "/uploads", { headers: { ...OFFSET, "upload-length": "5000" }, body: bytes });
    expect([answer.status, answer.headers.get("upload-offset")]).toEqual([201, "5000"]);
    expect((await answer.json()) as View).toMatchObject({ status: "complete", offset: 5_000 });
    expect(await view(await begin(0))).toMatchObject({ status: "complete", bytes: 0 });
  });

  test("whose last byte is there is complete, though its end was not recorded", async () => {
    const at = await begin(9);
    await append(at, 0, bytesOf(5));
    // As one that was killed, or lost the database, right before it could say so.
    await appendFile(join(root, "uploads", idOf(at)), bytesOf(9).subarray(5));
    expect(await offsetOf(at)).toBe(9);
    expect(await view(at)).toMatchObject({ status: "complete", bytes: 9, offset: 9 });
    expect((await append(at, 9, new Uint8Array(0))).status).toBe(204);
    expect(await stored(at)).toEqual(bytesOf(9));
  });

  test("keeps what arrived before its connection broke", async () => {
    const bytes = bytesOf(300_000);
    const at = await begin(bytes.length);
    const { socket } = await sendPart(at, 0, bytes.length, bytes.subarray(0, 123_456));
    socket.destroy();
    expect(await offsetOf(at)).toBe(123_456);
    expect((await append(at, 123_456, bytes.slice(123_456))).status).toBe(204);
    expect(await stored(at)).toEqual(bytes);
  });

  test("is deleted", async () => {
    const at = await begin(10);
    await append(at, 0, bytesOf(5));
    expect((await ask("DELETE", at, { headers: TUS })).status).toBe(204);
    for (const method of ["GET", "HEAD", "DELETE"]) expect((await ask(method, at, { headers: TUS })).status).toBe(404);
    expect(await readdir(join(root, "uploads"))).not.toContain(idOf(at));
  });

  test.each(["7", "0"])("of %s bytes is made once for an Idempotency-Key, and answers the same", async (length) => {
    const headers = { ...TUS, "upload-length": length, "idempotency-key": `once-${length}` };
    const first = await ask("POST", "/uploads", { headers });
    const again = await ask("POST", "/uploads", { headers });
    expect([first.status, again.status, again.headers.get("idempotency-replayed")]).toEqual([201, 201, "true"]);
    for (const name of ["location", "upload-expires", "tus-resumable"])
      expect([name, again.headers.get(name)]).toEqual([name, first.headers.get(name)]);
    const view = (await first.clone().json()) as View;
    expect(view.status).toBe(length === "0" ? "complete" : "receiving");
    expect(await again.text()).toBe(await first.text());
    const different = await ask("POST", "/uploads", { headers: { ...headers, "upload-length": "8" } });
    expect(await codeOf(different)).toBe("422 IDEMPOTENCY_MISMATCH");
  });
});

describe("what is refused", () => {
  test("by the status that tus asks for, in the shape of all errors", async () => {
    const at = await begin(10);
    const begins = (headers: Record<string, string>, body?: string) =>
      ask("POST", "/uploads", { headers, ...(body === undefined ? {} : { body }) });
    const patch = (headers: Record<string, string>) => ask("PATCH", at, { headers, body: bytesOf(3) });
    const wrongType = { ...TUS, "upload-offset": "0", "content-type": "video/mp4" };
    const cases: readonly (readonly [Promise<Response>, string])[] = [
      [begins({ "upload-length": "5" }), "412 VALIDATION_ERROR"],
      [begins({ "tus-resumable": "0.2.2", "upload-length": "5" }), "412 VALIDATION_ERROR"],
      [begins(TUS), "400 VALIDATION_ERROR"],
      [begins({ ...TUS, "upload-length": "-5" }), "400 VALIDATION_ERROR"],
      [begins({ ...TUS, "upload-length": "5", "upload-metadata": "a b c" }), "400 VALIDATION_ERROR"],
      [begins({ ...TUS, "upload-length": "5", "upload-metadata": `filename ${btoa("a\0")}` }), "400 VALIDATION_ERROR"],
      [begins({ ...TUS, "upload-length": String(LIMIT + 1) }), "413 PAYLOAD_TOO_LARGE"],
      [begins({ ...TUS, "upload-length": "5", "upload-concat": "partial" }), "400 VALIDATION_ERROR"],
      [begins({ ...TUS, "upload-length": "3", "content-type": "video/mp4" }, "abc"), "415 VALIDATION_ERROR"],
      [patch(wrongType), "415 VALIDATION_ERROR"],
      [patch(OFFSET), "400 VALIDATION_ERROR"],
      [patch({ ...OFFSET, "upload-offset": "4" }), "409 CONFLICT"],
      [patch({ ...OFFSET, "upload-offset": "0", "upload-checksum": "sha1 AAAA" }), "400 VALIDATION_ERROR"],
      [ask("PATCH", at, { headers: { ...OFFSET, "upload-offset": "0" }, body: bytesOf(11) }), "413 PAYLOAD_TOO_LARGE"],
    ];
    for (const [answer, expected] of cases) expect(await codeOf(await answer)).toBe(expected);
    const old = await begins({ "upload-length": "5" });
    expect(old.headers.get("tus-version")).toBe("1.0.0");
    expect(await offsetOf(at)).toBe(0);
  });

  test("another key's, to read, to write and as an input", async () => {
    const at = await begin(3);
    await append(at, 0, bytesOf(3));
    const patch = { headers: { ...OFFSET, "upload-offset": "3" }, body: bytesOf(1) };
    for (const [method, init] of [
      ["HEAD", { headers: TUS }],
      ["GET", {}],
      ["PATCH", patch],
      ["DELETE", { headers: TUS }],
    ] as const) {
      expect([method, (await ask(method, at, init, other)).status]).toEqual([method, 404]);
    }
    expect(await codeOf(await ask("POST", "/convert", convert(at), other))).toBe("404 NOT_FOUND");
    const json = { "content-type": "application/json" };
    const probe = { headers: json, body: JSON.stringify({ input: `upload://${idOf(at)}` }) };
    expect(await codeOf(await ask("POST", "/probe", probe, other))).toBe("404 NOT_FOUND");
    expect((await ask("POST", "/probe", probe)).status).toBe(200);
    const item = { type: "convert", input_path: `upload://${idOf(at)}`, output_path: "local://b.mp4" };
    const batch = { headers: json, body: JSON.stringify({ items: [item, { ...item, input_path: "local://a.mp4" }] }) };
    const made = (await (await ask("POST", "/batch", batch, other)).json()) as { rejected: unknown[]; jobs: unknown[] };
    expect([made.rejected.length, made.jobs.length]).toEqual([1, 1]);
    const admin = (await http.key({ role: "admin" })).key;
    expect((await ask("HEAD", at, { headers: TUS }, admin)).status).toBe(200);
    expect(await codeOf(await ask("POST", "/convert", convert(at), admin))).toBe("404 NOT_FOUND");
  });

  test("an upload as an output, and a key that reads elsewhere", async () => {
    const body = JSON.stringify({ input_path: "local://a.mp4", output_path: `upload://${Bun.randomUUIDv7()}` });
    const answer = await ask("POST", "/convert", { headers: { "content-type": "application/json" }, body });
    expect(await codeOf(answer)).toBe("422 UNSUPPORTED");
    const { key: narrow } = await http.key({ read_backends: ["local"] });
    expect(await codeOf(await ask("PUT", "/uploads/a.mp4", { body: "abc" }, narrow))).toBe("403 AUTHZ_ERROR");
  });

  test("where there is no room, and what fills the disk keeps what was written", async () => {
    const full = makeService({ freeBytes: async () => 64 * 1024 * 1024 + 10 });
    const { apiKey } = await http.key();
    const given = { keyId: apiKey.id, name: "a", metadata: {}, resumable: true };
    await expect(full.begin({ ...given, id: Bun.randomUUIDv7(), sizeBytes: 1_000_000 })).rejects.toMatchObject({
      kind: "resource.disk",
    });
    const real = makeUploadBytes(join(root, "uploads"));
    const bytes: UploadsPorts["bytes"] = {
      ...real,
      write: (id, start, chunks, onBytes) =>
        real.write(id, start, takeThenFail(chunks, 1, Object.assign(new Error("full"), { code: "ENOSPC" })), onBytes),
    };
    const tight = makeService({ bytes });
    const begun = await tight.begin({ ...given, id: Bun.randomUUIDv7(), sizeBytes: 10 });
    const writer = await tight.open(begun, () => {}, new AbortController().signal);
    await expect(writer?.receive(listOf([bytesOf(4), bytesOf(6)]))).rejects.toMatchObject({ kind: "resource.disk" });
    await writer?.release();
    const again = await uploads.open(begun, () => {}, new AbortController().signal);
    expect(again?.upload.offsetBytes).toBe(4);
    await again?.release();
  });
});

test("a browser of an allowed origin may speak tus", async () => {
  const headers = { origin: "https://app.example", "access-control-request-method": "PATCH" };
  const preflight = await fetch(url("/uploads"), { method: "OPTIONS", headers });
  expect(preflight.headers.get("access-control-allow-headers")).toContain("Upload-Offset");
  const options = await fetch(url("/uploads"), { method: "OPTIONS", headers: { origin: "https://app.example" } });
  expect(options.status).toBe(204);
  expect(options.headers.get("tus-extension")).toBe(
    "creation,creation-with-upload,creation-defer-length,termination,expiration",
  );
  expect(options.headers.get("tus-max-size")).toBe(String(LIMIT));
  expect(options.headers.get("access-control-expose-headers")).toContain("Upload-Offset");
  expect(options.headers.get("access-control-allow-origin")).toBe("https://app.example");
});
