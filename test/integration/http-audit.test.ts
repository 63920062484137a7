/** The audit log on both engines: what is on record, and that a row which was changed or taken out shows. */
import { describe, expect, test } from "bun:test";
import { appendAudit, verifyAudit } from "../../src/security/audit.ts";
import { ENGINES, openTestDatabase } from "../faults/protocol-harness.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { makeTestHttp, testConfig } from "./http-harness.ts";

interface Entry {
  readonly seq: number;
  readonly actor: string;
  readonly action: string;
  readonly target: string | null;
  readonly address: string | null;
  readonly request_id: string | null;
  readonly data: Record<string, unknown>;
}

describe.each([...ENGINES])("the audit log on %s", async (engine) => {
  const { sql } = await openTestDatabase(engine);
  const http = makeTestHttp({ sql, root: await makeTempDir("http-audit") });
  const admin = await http.key({ role: "admin" });
  const call = async (method: string, path: string, json?: unknown, headers: Record<string, string> = {}) => {
    const answer = await http.call(method, path, { key: admin.key, headers, ...(json === undefined ? {} : { json }) });
    return (await answer.json()) as Record<string, unknown> & { id: string };
  };
  const entries = async (query = ""): Promise<Entry[]> =>
    (await call("GET", `/admin/audit${query}`)).items as unknown as Entry[];

  test("making, changing, rotating and revoking a key is on record, with who, from where and under which id", async () => {
    const { id } = await call("POST", "/admin/api-keys", { name: "watched" }, { "x-request-id": "the-first" });
    await call("PATCH", `/admin/api-keys/${id}`, { rate_limit: 7 });
    await call("POST", `/admin/api-keys/${id}/rotate`, { grace_period: 60, what: "both" });
    await call("DELETE", `/admin/api-keys/${id}`);
    const found = (await entries()).filter(({ target }) => target === id);
    expect(found.map(({ action }) => action)).toEqual(["key.revoked", "key.rotated", "key.changed", "key.created"]);
    expect(found[3]).toMatchObject({
      ...{ actor: admin.apiKey.id, address: "127.0.0.1", request_id: "the-first", data: { name: "watched" } },
    });
    expect(found[2]?.data).toEqual({ rate_limit: 7 });
    expect(JSON.stringify(found)).not.toMatch(/rnd_|whsec_/);
    expect(await entries("?action=key.rotated")).toMatchObject([{ target: id }]);
    const [newest] = await entries("?limit=1");
    expect((await entries(`?limit=1&before=${newest?.seq}`))[0]?.seq).toBe((newest?.seq ?? 0) - 1);
    expect(await verifyAudit(sql)).toMatchObject({ ok: true });
  });

  test("what is refused leaves no entry, and nothing half done does", async () => {
    const before = (await entries())[0]?.seq;
    await call("PATCH", `/admin/api-keys/${admin.apiKey.id}`, { rate_limit: 7 });
    await call("DELETE", "/admin/api-keys/0193a000-0000-7000-8000-00000000ffff");
    await sql
      .transaction(async (tx) => {
        await appendAudit(tx, { actor: "x", action: "never", target: null, address: null, requestId: null, data: {} });
        throw new Error("no");
      })
      .catch(() => {});
    expect((await entries())[0]?.seq).toBe(before as number);
    expect(await verifyAudit(sql)).toMatchObject({ ok: true });
  });

  test("refused keys and administrators' reads are counted, not a row each", async () => {
    for (let n = 0; n < 50; n += 1) await http.call("GET", "/jobs", { key: `rnd_wrong_${n}` });
    await http.app.context.audit.flush();
    const [refused] = await entries("?action=key.refused");
    expect(refused).toMatchObject({ actor: "unknown", address: "127.0.0.1", data: { count: 50 } });
    const [read] = await entries("?action=read%20admin.audit");
    expect(read).toMatchObject({ actor: admin.apiKey.id });
    expect((await entries("?action=key.refused")).length).toBe(1);
  });

  test("entries of many at once follow one another", async () => {
    await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        sql.transaction((tx) =>
          appendAudit(tx, {
            actor: `a${n}`,
            action: "x",
            target: null,
            address: null,
            requestId: null,
            data: { n: [n] },
          }),
        ),
      ),
    );
    expect(await verifyAudit(sql)).toMatchObject({ ok: true });
  });

  test("a changed row, a missing one, one put in and a lost end all show", async () => {
    const tampered = async (text: string): Promise<unknown> => {
      let verdict: unknown = null;
      await sql
        .transaction(async (tx) => {
          await tx.query(text);
          verdict = await verifyAudit(tx);
          throw new Error("put back");
        })
        .catch(() => {});
      return verdict;
    };
    const [last] = await entries("?limit=1");
    const seq = last?.seq ?? 0;
    expect(await tampered(`UPDATE audit_log SET actor = 'somebody else' WHERE seq = 3`)).toEqual({
      ...{ ok: false, seq: 3, problem: "changed" },
    });
    expect(await tampered(`UPDATE audit_log SET at = at + interval '1 ms' WHERE seq = 2`)).toMatchObject({ seq: 2 });
    expect(await tampered("DELETE FROM audit_log WHERE seq = 2")).toEqual({ ok: false, seq: 2, problem: "missing" });
    expect(await tampered(`DELETE FROM audit_log WHERE seq = ${seq}`)).toEqual({ ok: false, seq, problem: "missing" });
    expect(
      await tampered(`INSERT INTO audit_log (seq, actor, action, previous_sha256, sha256)
        OVERRIDING SYSTEM VALUE VALUES (${seq + 1}, 'x', 'x', 'x', 'x')`),
    ).toEqual({ ok: false, seq: seq + 1, problem: "changed" });
    expect(await tampered("SELECT 1")).toMatchObject({ ok: true, rows: seq });
  });
});

describe.each([...ENGINES])("cleaning by hand on %s", async (engine) => {
  const { sql } = await openTestDatabase(engine);
  const config = testConfig();
  const http = makeTestHttp({
    sql,
    root: await makeTempDir("http-cleanup"),
    config: { ...config, queue: { ...config.queue, retentionJobsMs: 3_600_000, retentionOutputsMs: 60_000 } },
  });
  const admin = await http.key({ role: "admin" });

  test("a dry run counts what has expired, and only the real one deletes it and is on record", async () => {
    const ask = async (query: string) =>
      (await (await http.call("POST", `/admin/cleanup${query}`, { key: admin.key })).json()) as object;
    const jobIds: string[] = [];
    for (let n = 0; n < 3; n += 1) {
      const json = { input_path: "a.mov", output_path: "b.mp4" };
      const made = await http.call("POST", "/convert", { key: admin.key, json });
      const { id } = (await made.json()) as { id: string };
      await http.call("DELETE", `/jobs/${id}`, { key: admin.key });
      jobIds.push(id);
    }
    const none = { jobs: 0, jobs_with_outputs: 0, idempotency_keys: 0, uploads: 0 };
    expect(await ask("?dry_run=true")).toEqual({ dry_run: true, ...none });
    const upload = await http.call("POST", "/uploads", {
      ...{ key: admin.key, headers: { "tus-resumable": "1.0.0", "upload-length": "1" } },
    });
    expect(upload.status).toBe(201);
    await sql.query("UPDATE uploads SET expires_at = now()");
    await sql.query("UPDATE jobs SET completed_at = now() - interval '2 hours' WHERE id = ANY ($1::uuid[])", [
      jobIds.slice(0, 2),
    ]);
    const expired = { ...none, jobs: 2, uploads: 1 };
    expect(await ask("?dry_run=true")).toEqual({ dry_run: true, ...expired });
    expect(await ask("")).toEqual({ dry_run: false, ...expired });
    expect(await sql.query("SELECT id FROM uploads")).toEqual([]);
    expect(await sql.query("SELECT id FROM jobs")).toEqual([{ id: jobIds[2] ?? "" }]);
    const page = await http.call("GET", "/admin/audit?action=cleanup", { key: admin.key });
    expect(await page.json()).toMatchObject({ items: [{ actor: admin.apiKey.id, data: expired }] });
    expect(await ask("?dry_run=perhaps")).toMatchObject({ error: { code: "VALIDATION_ERROR" } });
  });
});
