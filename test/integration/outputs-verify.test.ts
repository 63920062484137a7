/** Rows and storage after a restore: what agrees, what is found again, what is gone. */
import { beforeAll, describe, expect, test } from "bun:test";
import { copyFile, link, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { JobId } from "../../src/jobs/types.ts";
import { type OutputFinding, type OutputState, verifyOutputs } from "../../src/jobs/verify-outputs.ts";
import { listAudit, verifyAudit } from "../../src/security/audit.ts";
import { openLocalBackend } from "../../src/storage/local/local-backend.ts";
import type { StorageRegistry } from "../../src/storage/port.ts";
import { makeStorageRegistry } from "../../src/storage/registry.ts";
import { ENGINES, newJobId, openTestDatabase, type TestDatabase } from "../faults/protocol-harness.ts";
import { makeTempDir } from "../support/temp-dir.ts";

for (const engine of ENGINES) {
  describe(engine, () => {
    let database: TestDatabase;
    let storage: StorageRegistry;
    let root = "";

    beforeAll(async () => {
      database = await openTestDatabase(engine);
      root = await makeTempDir("outputs");
      storage = makeStorageRegistry([await openLocalBackend({ name: "local", root })]);
    });

    /** A completed job with one output, as it was published. */
    async function made(key: string, bytes: string, backend = "local"): Promise<JobId> {
      const jobId = newJobId();
      await Bun.write(join(root, key), bytes);
      const sha256 = new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
      const identity = (await storage.backend("local").stat(key))?.identity ?? "";
      await database.sql.query(
        `INSERT INTO jobs (id, key_id, type, status, priority, queue_rank, spec, completed_at)
         VALUES ($1, $2, 'convert', 'completed', 1, 0, '{}', now())`,
        [jobId, database.keyId],
      );
      await database.sql.query(
        `INSERT INTO job_outputs (job_id, ordinal, role, backend, key, uri, size_bytes, sha256, media_type, media, identity)
         VALUES ($1, 0, 'primary', $2, $3, $2 || '://' || $3, $4, $5, 'video/mp4', '{}', $6)`,
        [jobId, backend, key, bytes.length, sha256, identity],
      );
      await database.sql.query(
        `INSERT INTO storage_usage (backend, key_id, size_bytes, object_count) VALUES ($1, $2, $3, 1)
         ON CONFLICT (key_id, backend) DO UPDATE SET size_bytes = storage_usage.size_bytes + $3::bigint,
           object_count = storage_usage.object_count + 1`,
        [backend, database.keyId, bytes.length],
      );
      return jobId;
    }

    async function verify(repair: boolean) {
      const findings: OutputFinding[] = [];
      const signal = new AbortController().signal;
      const options = { repair, onFinding: (finding: OutputFinding) => void findings.push(finding) };
      const counts = await verifyOutputs({ sql: database.sql, storage, signal, actor: "cli" }, options);
      const states = new Map(findings.map(({ output, state, repaired }) => [output.jobId, { state, repaired }]));
      return { counts, states };
    }

    const usage = async (): Promise<number> => {
      const [row] = await database.sql.query<{ bytes: number }>(
        "SELECT size_bytes AS bytes FROM storage_usage WHERE backend = 'local'",
      );
      return row?.bytes ?? -1;
    };

    test("says how each output is, changes nothing, and with repair sets right what can be", async () => {
      const same = await made("same.mp4", "as it was");
      const copied = await made("copied.mp4", "a copy of it");
      const gone = await made("gone.mp4", "soon gone");
      const changed = await made("changed.mp4", "by one kind");
      const earlier = await made("twice.mp4", "the same bytes");
      await rm(join(root, "twice.mp4"));
      const later = await made("twice.mp4", "the same bytes");
      const elsewhere = await made("elsewhere.mp4", "not here", "archive");
      await copyFile(join(root, "copied.mp4"), join(root, "copy"));
      await rename(join(root, "copy"), join(root, "copied.mp4"));
      await rm(join(root, "gone.mp4"));
      await Bun.write(join(root, "changed.mp4"), "by another!");

      const before = { same: 2, copied: 1, gone: 1, changed: 1, replaced: 1, unknown: 1 };
      for (const repair of [false, true]) {
        const { counts, states } = await verify(repair);
        expect(counts).toEqual(before);
        const expected: [JobId, OutputState, boolean][] = [
          [copied, "copied", true],
          [gone, "gone", true],
          [changed, "changed", true],
          [earlier, "replaced", false],
          [elsewhere, "unknown", false],
        ];
        expect(states).toEqual(
          new Map(expected.map(([jobId, state, can]) => [jobId, { state, repaired: can && repair }])),
        );
      }
      expect((await verify(false)).counts).toEqual({
        same: 3,
        copied: 0,
        gone: 0,
        changed: 0,
        replaced: 1,
        unknown: 1,
      });
      const rows = await database.sql.query<{ id: JobId }>(
        "SELECT job_id AS id FROM job_outputs WHERE deleted_at IS NOT NULL",
      );
      expect(rows.map(({ id }) => id).sort()).toEqual([gone, changed].sort());
      const repairs = (await listAudit(database.sql, { limit: 10 })).map(({ action, target, data }) => [
        ...[action, target, data.found ?? data.adopted !== data.identity],
      ]);
      expect(repairs.sort()).toEqual(
        [
          ["output.adopted", copied, true],
          ["output.recorded_deleted", gone, "gone"],
          ["output.recorded_deleted", changed, "changed"],
        ].sort(),
      );
      expect(await verifyAudit(database.sql)).toEqual({ ok: true, rows: 3 });
      expect(await usage()).toBe(["as it was", "a copy of it", "the same bytes", "the same bytes"].join("").length);
      // What somebody put there is theirs.
      expect(await Bun.file(join(root, "changed.mp4")).text()).toBe("by another!");
      const told = await database.sql.query("SELECT job_id AS id FROM job_logs WHERE type = 'job.outputs_deleted'");
      expect(told).toHaveLength(2);
      const [object] = await database.sql.query<{ identity: string }>(
        "SELECT identity FROM job_outputs WHERE job_id = $1",
        [copied],
      );
      expect(await storage.backend("local").delete("copied.mp4", object?.identity ?? "")).toBe(true);
      expect([same, later].every((jobId) => !rows.some(({ id }) => id === jobId))).toBe(true);
    }, 30_000);

    test("one that another job is publishing to just now is left alone", async () => {
      const jobId = await made("claimed.mp4", "copied too");
      await link(join(root, "claimed.mp4"), join(root, "kept"));
      await copyFile(join(root, "claimed.mp4"), join(root, "copy"));
      await rename(join(root, "copy"), join(root, "claimed.mp4"));
      await database.sql.query("INSERT INTO output_claims (backend, key, job_id) VALUES ('local', 'claimed.mp4', $1)", [
        newJobId(),
      ]);
      expect((await verify(true)).states.get(jobId)).toEqual({ state: "copied", repaired: false });
      await database.sql.query("DELETE FROM output_claims");
      expect((await verify(true)).states.get(jobId)).toEqual({ state: "copied", repaired: true });
    });

    test("what was repaired before it was interrupted is in the audit log", async () => {
      const { sql } = database;
      const before = (await listAudit(sql, { limit: 100 })).length;
      const jobIds = [await made("one.mp4", "soon gone"), await made("two.mp4", "soon gone")];
      await Promise.all(["one.mp4", "two.mp4"].map((name) => rm(join(root, name))));
      const interrupt = new AbortController();
      const options = { repair: true, onFinding: (one: OutputFinding) => one.repaired && interrupt.abort() };
      const over = verifyOutputs({ sql, storage, signal: interrupt.signal, actor: "cli" }, options);
      expect(await over.catch(({ kind }) => kind)).toBe("service.unavailable");
      const entries = await listAudit(sql, { limit: 100 });
      const [repaired] = await sql.query<{ id: JobId }>(
        "SELECT job_id AS id FROM job_outputs WHERE job_id = ANY ($1::uuid[]) AND deleted_at IS NOT NULL",
        [jobIds],
      );
      expect(entries.slice(0, entries.length - before).map(({ action, target }) => [action, target])).toEqual([
        ["output.recorded_deleted", repaired?.id ?? "none"],
      ]);
      await verify(true);
    });

    test("goes on over many, and ends when it is told to", async () => {
      await database.sql.query(
        `INSERT INTO job_outputs SELECT job_id, n, role, backend, key, uri, size_bytes, sha256, media_type, media, identity
         FROM job_outputs, generate_series(1, 450) n WHERE key = 'claimed.mp4'`,
      );
      expect((await verify(false)).counts.same).toBeGreaterThan(450);
      const over = verifyOutputs(
        { sql: database.sql, storage, signal: AbortSignal.abort(), actor: "cli" },
        { repair: false, onFinding: () => {} },
      );
      expect(over).rejects.toMatchObject({ kind: "service.unavailable" });
    });
  });
}
