/** The durable Idempotency-Key, on both engines: repeated, raced, crashed and taken over. */
import { describe, expect, test } from "bun:test";
import { beginIdempotent, completeIdempotent, releaseIdempotent } from "../../src/idempotency/idempotency.ts";
import type { KeyId } from "../../src/jobs/types.ts";
import { ENGINES, insertKey, openTestDatabase } from "../faults/protocol-harness.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { makeTestHttp } from "./http-harness.ts";

const CONVERT = { input_path: "in/a.mov", output_path: "out/a.mp4" };

describe.each([...ENGINES])("on %s", async (engine) => {
  const { sql } = await openTestDatabase(engine);
  const http = makeTestHttp({ sql, root: await makeTempDir("http-idempotency") });
  const { key } = await http.key({ role: "admin" });

  const post = async (path: string, json: unknown, idempotencyKey: string, as = key) => {
    const answer = await http.call("POST", path, { key: as, json, headers: { "idempotency-key": idempotencyKey } });
    const text = await answer.text();
    return {
      text,
      status: answer.status,
      headers: ["content-type", "location"].map((name) => answer.headers.get(name)),
      replayed: answer.headers.get("idempotency-replayed"),
      retryAfter: answer.headers.get("retry-after"),
      body: JSON.parse(text) as { id: string; key?: string | null; error?: { code: string } },
    };
  };
  const count = async (): Promise<number> => {
    const [row] = await sql.query<{ count: number }>("SELECT count(*)::integer AS count FROM jobs");
    return row?.count ?? 0;
  };
  const request = (keyId: KeyId, body = "a") => ({ keyId, idempotencyKey: "k", route: "r", bodySha256: body });
  const expireLock = (keyId: KeyId) =>
    sql.query("UPDATE idempotency_keys SET locked_until = now() - interval '1 second' WHERE key_id = $1", [keyId]);

  test("the same request again gets the stored answer, and nothing is made twice", async () => {
    const first = await post("/convert", CONVERT, "again");
    expect([first.status, first.replayed]).toEqual([201, null]);
    const before = await count();
    const second = await post("/convert", CONVERT, "again");
    expect([second.status, second.replayed]).toEqual([201, "true"]);
    expect(second.body).toEqual(first.body);
    expect(await count()).toBe(before);
  });

  test.each([
    ["/convert", { ...CONVERT, metadata: { zebra: 1.0, apple: [1e21, "ü\u2028"], e: { b: 1, a: -0.5 } } }],
    ["/batch", { items: [{ type: "convert", ...CONVERT }], metadata: { z: 1, a: 2 } }],
    ["/presets", { name: "first-bytes", operations: [{ type: "transcode", video_codec: "h264", crf: 21 }] }],
  ])("of %s the first answer comes back byte for byte, with where the thing is", async (path, body) => {
    const [first, second] = [await post(path, body, `bytes${path}`), await post(path, body, `bytes${path}`)];
    expect([first.status, second.replayed]).toEqual([201, "true"]);
    expect([second.text, second.headers]).toEqual([first.text, first.headers]);
  });

  test("an answer that the version before has stored is given too", async () => {
    const first = await post("/convert", CONVERT, "before");
    await sql.query("UPDATE idempotency_keys SET response_text = NULL WHERE idempotency_key = 'before'");
    const second = await post("/convert", CONVERT, "before");
    expect([second.replayed, second.body]).toEqual(["true", first.body]);
  });

  test("the same key with another body, or at another route, is a mismatch", async () => {
    await post("/convert", CONVERT, "mismatch");
    for (const [path, body] of [
      ["/convert", { ...CONVERT, priority: "high" }],
      ["/admin/api-keys", CONVERT],
    ] as const) {
      const answer = await post(path, body, "mismatch");
      // A body that its route does not take is refused before its key is looked at.
      expect([400, 422]).toContain(answer.status);
    }
    expect((await post("/convert", { ...CONVERT, priority: "high" }, "mismatch")).body.error?.code).toBe(
      "IDEMPOTENCY_MISMATCH",
    );
  });

  test("another tenant's same key is another key", async () => {
    const other = await http.key();
    const first = await post("/convert", CONVERT, "tenant");
    const second = await post("/convert", CONVERT, "tenant", other.key);
    expect([second.status, second.replayed]).toEqual([201, null]);
    expect(second.body.id).not.toBe(first.body.id);
  });

  test("of twenty at once one is done; the others wait or get its answer", async () => {
    const before = await count();
    const answers = await Promise.all(Array.from({ length: 20 }, () => post("/convert", CONVERT, "race")));
    expect(await count()).toBe(before + 1);
    const made = answers.filter(({ status }) => status === 201);
    expect(made.filter(({ replayed }) => replayed === null).length).toBe(1);
    expect(new Set(made.map(({ body }) => body.id)).size).toBe(1);
    for (const { status, retryAfter, body } of answers.filter((answer) => answer.status !== 201)) {
      expect([status, body.error?.code]).toEqual([409, "CONFLICT"]);
      expect(retryAfter).not.toBeNull();
    }
  });

  test("a failure is not stored: the key is free again", async () => {
    const bad = await post("/convert", { ...CONVERT, output_path: "in/a.mov" }, "failure");
    expect(bad.status).toBe(400);
    expect((await post("/convert", CONVERT, "failure")).status).toBe(201);
  });

  test("a secret is never in a repeated answer, nor in the database", async () => {
    const first = await post("/admin/api-keys", { name: "secret" }, "secret");
    expect(first.body.key).toStartWith("rnd_");
    const second = await post("/admin/api-keys", { name: "secret" }, "secret");
    expect([second.status, second.replayed, second.body.key]).toEqual([201, "true", null]);
    const [row] = await sql.query<{ text: string }>(
      "SELECT string_agg(response_body::text || response_text, ' ') AS text FROM idempotency_keys",
    );
    expect(row?.text).not.toContain(first.body.key as string);
    expect(row?.text).not.toContain("whsec_");
  });

  test("a retry by hand is made once", async () => {
    const { body } = await post("/convert", CONVERT, "retry-job");
    await http.call("DELETE", `/jobs/${body.id}`, { key });
    const first = await post(`/jobs/${body.id}/retry`, {}, "retry");
    const second = await post(`/jobs/${body.id}/retry`, {}, "retry");
    expect([first.status, second.status, second.body.id]).toEqual([201, 201, first.body.id]);
  });

  test("a key is printable and short", async () => {
    for (const bad of ["x".repeat(256), "a b", "ü"]) {
      const answer = await post("/convert", CONVERT, encodeURI(bad) === bad ? bad : "a b");
      expect(answer.status).toBe(400);
    }
    expect((await post("/convert", CONVERT, "x".repeat(255))).status).toBe(201);
  });

  test("one that died in flight is waited for, then taken over; should it thaw, it rolls back", async () => {
    const keyId = await insertKey(sql);
    const frozen = await beginIdempotent(sql, request(keyId));
    await expect(beginIdempotent(sql, request(keyId))).rejects.toMatchObject({ kind: "request.conflict" });
    await expireLock(keyId);
    await expect(beginIdempotent(sql, request(keyId, "b"))).rejects.toMatchObject({
      kind: "request.idempotency_mismatch",
    });
    const heir = await beginIdempotent(sql, request(keyId));
    if (frozen.outcome !== "held" || heir.outcome !== "held") throw new Error("the key was not taken over");
    const answer = { status: 201, body: { made: "by the heir" }, location: null };
    const late = sql.transaction(async (tx) => {
      await tx.query("INSERT INTO settings (name, value) VALUES ('late', 'x')");
      await completeIdempotent(tx, frozen.hold, { ...answer, body: { made: "late" } });
    });
    await expect(late).rejects.toMatchObject({ kind: "request.conflict" });
    expect(await sql.query("SELECT FROM settings WHERE name = 'late'")).toEqual([]);
    await releaseIdempotent(sql, frozen.hold);
    await sql.transaction((tx) => completeIdempotent(tx, heir.hold, answer));
    expect(await beginIdempotent(sql, request(keyId))).toEqual({
      outcome: "stored",
      answer: { status: 201, text: JSON.stringify(answer.body), location: null },
    });
  });

  test("after its time a key is as good as new", async () => {
    const keyId = await insertKey(sql);
    const first = await beginIdempotent(sql, request(keyId));
    if (first.outcome !== "held") throw new Error("the key was not new");
    await sql.transaction((tx) => completeIdempotent(tx, first.hold, { status: 201, body: null, location: null }));
    await sql.query("UPDATE idempotency_keys SET expires_at = now() WHERE key_id = $1", [keyId]);
    expect((await beginIdempotent(sql, request(keyId, "another body"))).outcome).toBe("held");
  });
});
