/** Listing jobs: keyset pages over the id, which sorts by creation, so page 10,000 costs what page 1 does. */
import { json, type SqlParam, type SqlRunner } from "../database/sql.ts";
import { RendiffError } from "../errors.ts";
import { isUuid, JOB_COLUMNS, toJob } from "./store.ts";
import type { Job, JobStatus, JobType, KeyId } from "./types.ts";

/** Up to here a total is exact; counting further would cost what the page saves. */
export const TOTAL_MAX = 10_000;

export interface JobFilter {
  /** Null sees every key's jobs. */
  readonly keyId: KeyId | null;
  readonly status?: readonly JobStatus[];
  readonly type?: readonly JobType[];
  readonly batchId?: string;
  readonly createdAfter?: Date;
  readonly createdBefore?: Date;
  /** Top-level entries of the client's metadata; `"5"` also finds the number 5, `"true"` the boolean. */
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface JobPageRequest extends JobFilter {
  readonly sort: "created_at" | "-created_at";
  readonly limit: number;
  readonly offset?: number;
  /** From `nextCursor`; wins over `offset`. */
  readonly cursor?: string;
}

export interface JobPage {
  readonly items: readonly Job[];
  /** Exact up to TOTAL_MAX. */
  readonly total: number;
  readonly totalCapped: boolean;
  readonly nextCursor: string | null;
  readonly hasNext: boolean;
}

interface Where {
  readonly conditions: string[];
  readonly params: SqlParam[];
}

/** By how much the clocks of replicas, which make ids, may differ from the database's, which makes `created_at`. */
const CLOCKS_DIFFER_MS = 86_400_000;
const ID_MS_MAX = 2 ** 48 - 1;

/** The first id of a moment: RFC 9562 §5.7 has milliseconds in front. Ids are indexed, `created_at` need not be. */
function idAt(ms: number): string {
  const hex = Math.min(Math.max(0, ms), ID_MS_MAX).toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}

function filterOf(filter: JobFilter): Where {
  const conditions: string[] = [];
  const params: SqlParam[] = [];
  const bind = (value: SqlParam): string => `$${params.push(value)}`;
  if (filter.keyId !== null) conditions.push(`key_id = ${bind(filter.keyId)}::uuid`);
  if (filter.status !== undefined && filter.status.length > 0) {
    conditions.push(`status = ANY (${bind(filter.status)}::text[])`);
  }
  if (filter.type !== undefined && filter.type.length > 0) conditions.push(`type = ANY (${bind(filter.type)}::text[])`);
  if (filter.batchId !== undefined) {
    conditions.push(isUuid(filter.batchId) ? `batch_id = ${bind(filter.batchId)}::uuid` : "false");
  }
  const { createdAfter, createdBefore } = filter;
  if (createdAfter !== undefined) {
    conditions.push(`created_at > ${bind(createdAfter)}::timestamptz`);
    conditions.push(`id >= ${bind(idAt(createdAfter.getTime() - CLOCKS_DIFFER_MS))}::uuid`);
  }
  if (createdBefore !== undefined) {
    conditions.push(`created_at < ${bind(createdBefore)}::timestamptz`);
    conditions.push(`id < ${bind(idAt(createdBefore.getTime() + CLOCKS_DIFFER_MS))}::uuid`);
  }
  for (const [name, value] of Object.entries(filter.metadata ?? {})) {
    const candidates = [value, ...scalarReadings(value)].map((v) => `metadata @> ${bind(json({ [name]: v }))}::jsonb`);
    conditions.push(`(${candidates.join(" OR ")})`);
  }
  return { conditions, params };
}

/** What a query's text may also mean: it cannot say whether the client stored "5" or 5. */
function scalarReadings(text: string): (number | boolean)[] {
  if (text === "true") return [true];
  if (text === "false") return [false];
  const number = Number(text);
  return text.trim() !== "" && Number.isFinite(number) ? [number] : [];
}

function whereText(conditions: readonly string[]): string {
  return conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`;
}

function encodeCursor(id: string): string {
  return Buffer.from(id.replaceAll("-", ""), "hex").toString("base64url");
}

function decodeCursor(cursor: string): string {
  const hex = Buffer.from(cursor, "base64url").toString("hex");
  const id = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  if (!isUuid(id) || encodeCursor(id) !== cursor) {
    throw new RendiffError({
      kind: "request.invalid",
      publicMessage: "The cursor is not one that this list returned.",
      details: [{ path: "cursor", message: "must be the next_cursor of an earlier page" }],
    });
  }
  return id;
}

/** One page of jobs and how many there are. Rejects with `request.invalid` on a cursor that is not ours. */
export async function listJobs(sql: SqlRunner, request: JobPageRequest): Promise<JobPage> {
  const { conditions, params } = filterOf(request);
  const counted = await sql.query<{ total: number }>(
    `SELECT count(*)::integer AS total FROM (SELECT FROM jobs ${whereText(conditions)} LIMIT ${TOTAL_MAX + 1}) AS matching`,
    params,
  );
  const total = counted[0]?.total ?? 0;
  const ascending = request.sort === "created_at";
  const pageParams = [...params];
  const bind = (value: SqlParam): string => `$${pageParams.push(value)}`;
  const pageConditions = [...conditions];
  if (request.cursor !== undefined) {
    pageConditions.push(`id ${ascending ? ">" : "<"} ${bind(decodeCursor(request.cursor))}::uuid`);
  }
  const offset = request.cursor === undefined ? (request.offset ?? 0) : 0;
  const rows = await sql.query(
    `SELECT ${JOB_COLUMNS} FROM jobs ${whereText(pageConditions)} ORDER BY id ${ascending ? "ASC" : "DESC"}
     LIMIT ${bind(request.limit + 1)}::integer OFFSET ${bind(offset)}::integer`,
    pageParams,
  );
  const items = rows.slice(0, request.limit).map(toJob);
  const hasNext = rows.length > request.limit;
  const last = items.at(-1);
  return {
    items,
    total: Math.min(total, TOTAL_MAX),
    totalCapped: total > TOTAL_MAX,
    nextCursor: hasNext && last !== undefined ? encodeCursor(last.id) : null,
    hasNext,
  };
}
