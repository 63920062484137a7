/**
 * The audit log: append-only rows, each with the SHA-256 of itself and the row before it, so that a row that was changed,
 * taken out or put in shows. The newest hash is also kept beside the table, so that rows missing at the end show too; and
 * each entry goes to the log, where whoever can change the database perhaps cannot.
 *
 * Entries are made inside the transaction of what they tell of: one that was rolled back never happened. The row with the
 * newest hash is locked meanwhile, so entries follow one another.
 */
import type { SqlRow, SqlRunner } from "../database/sql.ts";
import { json } from "../database/sql.ts";
import { sha256Hex } from "./digest.ts";

export interface AuditEntry {
  /** A key's id, `cli`, or `system`. */
  readonly actor: string;
  /** Lower-case and dotted: `key.created`. */
  readonly action: string;
  readonly target: string | null;
  readonly address: string | null;
  readonly requestId: string | null;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface AuditRow extends AuditEntry {
  readonly seq: number;
  readonly at: Date;
  readonly previousSha256: string;
  readonly sha256: string;
}

const HEAD = "audit_head";
const START = "0".repeat(64);

/** JSON with the names of every object in order: the database keeps values, not texts. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value) ?? "null";
  const fields = Object.entries(value)
    .filter(([, item]) => item !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, item]) => `${JSON.stringify(name)}:${canonical(item)}`);
  return `{${fields.join(",")}}`;
}

function hashOf(row: Omit<AuditRow, "sha256">): string {
  const { seq, at, actor, action, target, address, requestId, data, previousSha256 } = row;
  return sha256Hex(canonical([seq, at.toISOString(), actor, action, target, address, requestId, data, previousSha256]));
}

function parseHead(text: string): { seq: number; sha256: string } {
  const [seq = "", sha256 = ""] = text.split(":");
  return { seq: Number(seq), sha256 };
}

/** Call it in the transaction that does what it tells of. */
export async function appendAudit(tx: SqlRunner, entry: AuditEntry): Promise<AuditRow> {
  await tx.query("INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING", [
    HEAD,
    `0:${START}`,
  ]);
  const [held] = await tx.query<{ value: string }>("SELECT value FROM settings WHERE name = $1 FOR UPDATE", [HEAD]);
  const last = parseHead(held?.value ?? "");
  const made = { ...entry, seq: last.seq + 1, at: new Date(), previousSha256: last.sha256 };
  const row: AuditRow = { ...made, sha256: hashOf(made) };
  await tx.query(
    `INSERT INTO audit_log (seq, at, actor, action, target, address, request_id, data, previous_sha256, sha256)
     OVERRIDING SYSTEM VALUE VALUES ($1::bigint, $2::timestamptz, $3, $4, $5, $6, $7, $8::jsonb, $9, $10)`,
    [
      ...[row.seq, row.at, row.actor, row.action, row.target, row.address, row.requestId, json(row.data)],
      ...[row.previousSha256, row.sha256],
    ],
  );
  await tx.query("UPDATE settings SET value = $2 WHERE name = $1", [HEAD, `${row.seq}:${row.sha256}`]);
  return row;
}

function toAuditRow(row: SqlRow): AuditRow {
  return {
    seq: row.seq as number,
    at: row.at as Date,
    actor: row.actor as string,
    action: row.action as string,
    target: row.target as string | null,
    address: row.address as string | null,
    requestId: row.request_id as string | null,
    data: row.data as Record<string, unknown>,
    previousSha256: row.previous_sha256 as string,
    sha256: row.sha256 as string,
  };
}

const COLUMNS = "seq, at, actor, action, target, address, request_id, data, previous_sha256, sha256";

export interface AuditQuery {
  readonly limit: number;
  /** Rows before this one. */
  readonly before?: number;
  readonly action?: string;
  readonly actor?: string;
}

/** Newest first. */
export async function listAudit(sql: SqlRunner, { limit, before, action, actor }: AuditQuery): Promise<AuditRow[]> {
  const rows = await sql.query(
    `SELECT ${COLUMNS} FROM audit_log
     WHERE ($2::bigint IS NULL OR seq < $2::bigint) AND ($3::text IS NULL OR action = $3) AND ($4::text IS NULL OR actor = $4)
     ORDER BY seq DESC LIMIT $1::integer`,
    [limit, before ?? null, action ?? null, actor ?? null],
  );
  return rows.map(toAuditRow);
}

export type AuditVerdict =
  | { readonly ok: true; readonly rows: number }
  /** `seq`: the first row at which the chain does not hold. */
  | { readonly ok: false; readonly seq: number; readonly problem: "missing" | "changed" };

const PAGE = 1_000;

/** Reads the whole log, page by page. */
export async function verifyAudit(sql: SqlRunner): Promise<AuditVerdict> {
  let previous = { seq: 0, sha256: START };
  for (;;) {
    const rows = await sql.query(
      `SELECT ${COLUMNS} FROM audit_log WHERE seq > $1::bigint ORDER BY seq LIMIT $2::integer`,
      [previous.seq, PAGE],
    );
    for (const row of rows.map(toAuditRow)) {
      const expected = previous.seq + 1;
      if (row.seq !== expected) return { ok: false, seq: expected, problem: "missing" };
      if (row.previousSha256 !== previous.sha256 || row.sha256 !== hashOf(row)) {
        return { ok: false, seq: row.seq, problem: "changed" };
      }
      previous = row;
    }
    if (rows.length < PAGE) break;
  }
  const [held] = await sql.query<{ value: string }>("SELECT value FROM settings WHERE name = $1", [HEAD]);
  const head = parseHead(held?.value ?? `0:${START}`);
  if (head.seq > previous.seq) return { ok: false, seq: previous.seq + 1, problem: "missing" };
  if (head.seq !== previous.seq || head.sha256 !== previous.sha256) {
    return { ok: false, seq: previous.seq, problem: "changed" };
  }
  return { ok: true, rows: previous.seq };
}
