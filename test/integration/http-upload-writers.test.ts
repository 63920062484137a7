/** Several writers of one upload, plain PUTs, and how an upload ends. */
import { describe, expect, spyOn, test } from "bun:test";
import { mkdir, readdir, rm, rmdir } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { RendiffError } from "../../src/errors.ts";
import { makeUploadBytes } from "../../src/uploads/bytes.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";
import { MEDIA } from "./http-harness.ts";
import {
  bytesOf,
  codeOf,
  convert,
  idOf,
  LIMIT,
  listOf,
  makeUploadSite,
  QUICK,
  TUS,
  type View,
} from "./uploads-harness.ts";

const site = await makeUploadSite();
const {
  sql,
  root,
  http,
  server,
  key,
  uploads,
  worker,
  makeService,
  ask,
  begin,
  append,
  offsetOf,
  view,
  stored,
  sendPart,
} = site;

describe("one writer at a time", () => {
  test("who comes back ends the connection that the server still believes in", async () => {
    const bytes = bytesOf(200_000);
    const at = await begin(bytes.length);
    const { socket, answered } = await sendPart(at, 0, bytes.length, bytes.subarray(0, 70_000));
    expect(await offsetOf(at)).toBe(70_000);
    expect(await answered).not.toContain(" 500 ");
    socket.destroy();
    expect((await append(at, 70_000, bytes.slice(70_000))).status).toBe(204);
    expect(await stored(at)).toEqual(bytes);
  });

  test("who could not write it looks at it, and the connection goes on", async () => {
    const bytes = bytesOf(100_000);
    const at = await begin(bytes.length);
    const [admin, reader] = [await http.key({ role: "admin" }), await http.key({ role: "readonly" })];
    const look = async (as: string): Promise<string | null> =>
      (await ask("HEAD", at, { headers: TUS }, as)).headers.get("upload-offset");
    expect(await look(admin.key)).toBe("0");
    const { socket, answered } = await sendPart(at, 0, bytes.length, bytes.subarray(0, 60_000));
    await sql.query("UPDATE uploads SET key_id = $2 WHERE id = $1", [idOf(at), reader.apiKey.id]);
    for (const as of [admin.key, reader.key]) expect(await look(as)).toBe("60000");
    socket.write(bytes.subarray(60_000));
    expect(await answered).toContain(" 204 ");
    socket.destroy();
    expect(await stored(at)).toEqual(bytes);
    expect(await look(reader.key)).toBe("100000");
  });

  test("two that write at once: one goes on, the other is told of it, and nothing is mixed", async () => {
    const bytes = bytesOf(400_000);
    const at = await begin(bytes.length);
    const answers = await Promise.all([append(at, 0, bytes), append(at, 0, bytes), append(at, 0, bytes)]);
    const statuses = answers.map(({ status }) => status).sort();
    expect(statuses[0]).toBe(204);
    expect(statuses.slice(1).every((status) => status === 204 || status === 409)).toBe(true);
    const reached = await offsetOf(at);
    if (reached < bytes.length) await append(at, reached, bytes.slice(reached));
    expect(await stored(at)).toEqual(bytes);
  });

  test("a writer of a process that died is followed when its time is over", async () => {
    const at = await begin(10);
    await sql.query(
      "UPDATE uploads SET writer = gen_random_uuid(), writer_until = now() + interval '300 milliseconds' WHERE id = $1",
      [idOf(at)],
    );
    expect((await append(at, 0, bytesOf(10))).status).toBe(204);
  });

  test("one that never ends is not waited for without end", async () => {
    const at = await begin(10);
    await sql.query(
      "UPDATE uploads SET writer = gen_random_uuid(), writer_until = now() + interval '1 hour' WHERE id = $1",
      [idOf(at)],
    );
    expect(await codeOf(await append(at, 0, bytesOf(10)))).toBe("409 CONFLICT");
    await uploads.recover();
    expect((await append(at, 0, bytesOf(10))).status).toBe(204);
  });

  test("a writer that could not renew in time writes nothing more", async () => {
    const { apiKey } = await http.key();
    const frozen = makeService({ timing: { ...QUICK, ttlMs: 30, renewMs: 60_000 } });
    const begun = await frozen.begin({
      ...{ id: Bun.randomUUIDv7(), keyId: apiKey.id, name: "a", metadata: {}, sizeBytes: 10, resumable: true },
    });
    const never = new AbortController().signal;
    const first = await frozen.open(begun, () => {}, never);
    const second = await uploads.open(begun, () => {}, never);
    await expect(first?.receive(listOf([bytesOf(10)]))).rejects.toMatchObject({ kind: "request.conflict" });
    expect(await second?.receive(listOf([bytesOf(4)]))).toBe(4);
    await first?.release();
    await second?.release();
    expect((await stored(begun.id)).length).toBe(4);
  });

  test("another folder on another replica is found out", async () => {
    const at = await begin(10);
    await append(at, 0, bytesOf(5));
    const astray = makeService({ bytes: makeUploadBytes(await makeTempDir("astray")) });
    const opened = astray.open({ id: idOf(at) }, () => {}, new AbortController().signal);
    await expect(opened).rejects.toMatchObject({ kind: "service.unavailable" });
    expect((await append(at, 5, bytesOf(5))).status).toBe(204);
  });
});

describe("a plain PUT", () => {
  test("of a known length and of an unknown one", async () => {
    const bytes = bytesOf(50_000);
    const known = await ask("PUT", "/uploads/a%20film.mp4", { body: bytes });
    expect(known.status).toBe(201);
    const made = (await known.json()) as View;
    expect(made).toMatchObject({ name: "a film.mp4", status: "complete", bytes: 50_000, media_type: "video/mp4" });
    expect(await stored(made.id)).toEqual(bytes);
    const pieces = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let at = 0; at < bytes.length; at += 10_000) controller.enqueue(bytes.slice(at, at + 10_000));
        controller.close();
      },
    });
    const unknown = (await (await ask("PUT", "/uploads/b.mp4", { body: pieces })).json()) as View;
    expect(unknown).toMatchObject({ status: "complete", bytes: 50_000 });
    expect(await stored(unknown.id)).toEqual(bytes);
  });

  test("of what is no media is kept, without a type; one that nobody could look at is looked at again", async () => {
    worker.probe = () => Promise.reject(new RendiffError({ kind: "input.unreadable", publicMessage: "no" }));
    const first = (await (await ask("PUT", "/uploads/a.srt", { body: "1\n" })).json()) as View;
    expect(first).toMatchObject({ status: "complete", media_type: null });
    worker.probe = () => Promise.reject(new RendiffError({ kind: "service.unavailable", publicMessage: "nobody" }));
    const second = (await (await ask("PUT", "/uploads/a.mp4", { body: "1\n" })).json()) as View;
    expect(second.media_type).toBeNull();
    worker.probe = async () => MEDIA;
    expect((await view(`/uploads/${first.id}`)).media_type).toBeNull();
    expect((await view(`/uploads/${second.id}`)).media_type).toBe("video/mp4");
  });

  test("that the database could not hear of is looked at again, and is there", async () => {
    const call = sql.query.bind(sql);
    const broken = spyOn(sql, "query").mockImplementation(((...args: Parameters<typeof call>) =>
      args[0].includes("SET media") ? Promise.reject(new Error("The database is away.")) : call(...args)) as never);
    const answer = await ask("PUT", "/uploads/a.mp4", { body: bytesOf(10) });
    const made = (await answer.json()) as View;
    expect([answer.status, made.status, made.media_type]).toEqual([201, "complete", "video/mp4"]);
    const row = (): Promise<unknown> =>
      sql.query("SELECT media IS NULL AS unknown FROM uploads WHERE id = $1", [made.id]);
    expect(await row()).toEqual([{ unknown: true }]);
    broken.mockRestore();
    expect((await view(`/uploads/${made.id}`)).media_type).toBe("video/mp4");
    expect(await row()).toEqual([{ unknown: false }]);
  });

  test("that is empty, too large, partial or badly named is refused, and leaves nothing", async () => {
    const before = await readdir(join(root, "uploads"));
    const large = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(1024 * 1024)),
    });
    const cases: readonly (readonly [string, RequestInit, string])[] = [
      ["/uploads/a", { body: "" }, "400 VALIDATION_ERROR"],
      ["/uploads/a", { body: new Uint8Array(LIMIT + 1) }, "413 PAYLOAD_TOO_LARGE"],
      ["/uploads/a", { body: large }, "413 PAYLOAD_TOO_LARGE"],
      ["/uploads/a", { body: "abc", headers: { "content-range": "bytes 0-2/9" } }, "400 VALIDATION_ERROR"],
      ["/uploads/a%2Fb", { body: "abc" }, "400 VALIDATION_ERROR"],
      ["/uploads/%00", { body: "abc" }, "400 VALIDATION_ERROR"],
    ];
    for (const [path, init, expected] of cases)
      expect([path, await codeOf(await ask("PUT", path, init))]).toEqual([path, expected]);
    expect(await readdir(join(root, "uploads"))).toEqual(before);
  });

  test("that breaks off leaves nothing", async () => {
    const files = () => readdir(join(root, "uploads"));
    const before = await files();
    const socket = connect(server.port, "127.0.0.1");
    socket.write(
      `PUT /api/v1/uploads/a HTTP/1.1\r\nhost: localhost\r\nx-api-key: ${key}\r\ncontent-length: 100000\r\n\r\nabc`,
    );
    await until(async () => (await files()).length > before.length);
    socket.destroy();
    await until(async () => (await files()).length === before.length);
    expect(await sql.query("SELECT id FROM uploads WHERE status = 'receiving' AND NOT resumable")).toEqual([]);
  });
});

describe("the end of an upload", () => {
  const expired = (at: string) => sql.query("UPDATE uploads SET expires_at = now() WHERE id = $1", [idOf(at)]);
  const isThere = async (at: string): Promise<boolean> => (await readdir(join(root, "uploads"))).includes(idOf(at));
  const usage = async (): Promise<unknown> =>
    (await sql.query("SELECT sum(size_bytes)::integer AS bytes FROM storage_usage WHERE backend = 'upload'"))[0];

  test("comes in time, unless an open job reads it or it is being written", async () => {
    const [idle, needed, written] = [await begin(3), await begin(3), await begin(3)];
    for (const at of [idle, needed]) await append(at, 0, bytesOf(3));
    const counted = (await usage()) as { bytes: number };
    const job = (await (await ask("POST", "/convert", convert(needed))).json()) as { id: string };
    const writer = await uploads.open({ id: idOf(written) }, () => {}, new AbortController().signal);
    for (const at of [idle, needed, written]) await expired(at);
    await uploads.sweep(100);
    expect([await isThere(idle), await isThere(needed), await isThere(written)]).toEqual([false, true, true]);
    expect(((await usage()) as { bytes: number }).bytes).toBe(counted.bytes - 3);
    expect((await ask("GET", idle)).status).toBe(404);
    await writer?.release();
    await ask("DELETE", `/jobs/${job.id}`);
    for (const at of [needed, written]) await expired(at);
    await uploads.sweep(100);
    expect([await isThere(needed), await isThere(written)]).toEqual([false, false]);
  });

  test("is not kept up by another whose bytes cannot be taken away", async () => {
    const [stuck, other] = [await begin(3), await begin(3)];
    for (const at of [stuck, other]) await append(at, 0, bytesOf(3));
    const path = join(root, "uploads", idOf(stuck));
    await rm(path);
    await mkdir(path);
    for (const at of [stuck, other]) await expired(at);
    expect(await uploads.sweep(100).catch((error: unknown) => error)).toBeInstanceOf(Error);
    expect([await isThere(stuck), await isThere(other)]).toEqual([true, false]);
    await rmdir(path);
    await uploads.sweep(100);
    expect(await sql.query("SELECT id FROM uploads WHERE id = $1", [idOf(stuck)])).toEqual([]);
  });

  test("by hand waits for the job that reads it", async () => {
    const at = await begin(3);
    await append(at, 0, bytesOf(3));
    const job = (await (await ask("POST", "/convert", convert(at))).json()) as { id: string };
    expect(await codeOf(await ask("DELETE", at, { headers: TUS }))).toBe("409 CONFLICT");
    await ask("DELETE", `/jobs/${job.id}`);
    expect((await ask("DELETE", at, { headers: TUS })).status).toBe(204);
    const retried = await ask("POST", `/jobs/${job.id}/retry`);
    expect(await codeOf(retried)).toBe("404 NOT_FOUND");
  });
});
