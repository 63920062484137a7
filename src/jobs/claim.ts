/**
 * Claiming: the one way a job gets a holder.
 *
 * `FOR UPDATE SKIP LOCKED` over the partial index of queued rows: claimers never wait for one another, and the cost does
 * not grow with the queue. Times are the database's.
 *
 * A claimer may remember where it ended (`claim-memory.ts`), and begins there.
 *
 * A key may have a limit on its running jobs. Counting them is not enough: two claimers would count the same and both go
 * on. So a claim under a limit also writes the key's row as its statement saw it (`KEY_IS_UNCHANGED`): of two rivals one
 * waits for the other, sees that the row has changed and looks again. Rejected: an advisory lock in the statement, which
 * leaves the count as old as the statement's snapshot; a counter in the row, which every end of a job would have to keep.
 *
 * All that in each claim would cost keys without a limit a tenth, so the first statement only refuses where the first job's
 * key has a limit, and the second one looks at them.
 */
import { json, type SqlParam, type SqlRow, type SqlRunner } from "../database/sql.ts";
import { ClaimMemory, FRONT, type Route } from "./claim-memory.ts";
import {
  CLAIMER_HAS_NOT_LEFT,
  FITS,
  IS_DUE,
  IS_PROCESSING,
  IS_QUEUED,
  KEY_HAS_ROOM,
  KEY_IS_LIMITED,
  KEY_IS_UNCHANGED,
  NOT_CANCELLED,
  NOT_PAUSED,
  QUEUE_CLASS,
} from "./guards.ts";
import { appendEvent } from "./statements.ts";
import { JOB_COLUMNS, priorityNumber, toJob } from "./store.ts";
import { type Claim, type JobId, type JobType, PRIORITIES, type Priority, type WorkerId } from "./types.ts";

export interface ClaimRequest {
  readonly workerId: WorkerId;
  /** Null: all. */
  readonly jobTypes: readonly JobType[] | null;
  readonly priorities: readonly Priority[] | null;
  /** The worker's own, which jobs may say they cannot run on; absent: it runs anything. */
  readonly kind?: string | null;
  /**
   * Looks at what is served only, route by route, which costs a look at each route: for a worker that would have to pass
   * over jobs of others.
   */
  readonly routed?: boolean;
  /** A hint: this job or none. Without it, the next in the order of the queue. */
  readonly jobId?: JobId;
}

/** What a statement looks at: the rows before and after `next`, the job to take, and whether it may be taken. */
interface Look {
  readonly before: string;
  readonly columns: string;
  readonly condition: string;
  readonly after: string;
  /** Over `next n`. */
  readonly may: string;
}

const WITHOUT_LIMITS: Look = {
  before: "",
  columns: `j.id, ${KEY_IS_LIMITED} AS is_limited`,
  condition: "",
  after: "",
  may: "NOT n.is_limited",
};

const WITH_LIMITS: Look = {
  before: `full_keys AS (
  SELECT j.key_id FROM jobs j JOIN api_keys k ON k.id = j.key_id
  WHERE ${IS_PROCESSING} AND k.max_concurrent_jobs IS NOT NULL
  GROUP BY j.key_id, k.max_concurrent_jobs HAVING count(*) >= k.max_concurrent_jobs),`,
  columns: `j.id, j.key_id, ${KEY_IS_LIMITED} AS is_limited,
    (SELECT k.xmin FROM api_keys k WHERE k.id = j.key_id) AS key_version`,
  condition: `AND ${KEY_HAS_ROOM}`,
  after: `under_limit AS (
  UPDATE api_keys k SET max_concurrent_jobs = k.max_concurrent_jobs
  FROM next n WHERE n.is_limited AND k.id = n.key_id AND ${KEY_IS_UNCHANGED}
  RETURNING k.id),`,
  may: "(NOT n.is_limited OR n.key_id IN (SELECT u.id FROM under_limit u))",
};

const IS_SERVED =
  "($2::text[] IS NULL OR j.type = ANY ($2::text[])) AND ($3::smallint[] IS NULL OR j.priority = ANY ($3::smallint[]))";
const IN_ORDER = `ORDER BY ${QUEUE_CLASS}, j.queue_rank, j.id`;

const KEY = `${QUEUE_CLASS} AS class, j.queue_rank AS rank`;

/** The hinted row, if it may be claimed. */
const hinted = ({ columns, condition }: Look): string => `
next AS (
  SELECT ${columns}, ${KEY} FROM jobs j
  WHERE j.id = $6::uuid AND ${IS_QUEUED} AND ${IS_DUE} AND ${NOT_CANCELLED} AND ${CLAIMER_HAS_NOT_LEFT} AND ${NOT_PAUSED}
    AND ${IS_SERVED} AND ${FITS} AND ${QUEUE_CLASS} <= $4::smallint
    ${condition}
  FOR UPDATE SKIP LOCKED),`;

/**
 * The first row that may be claimed, in the order of the queue: class by class, from a place in each ($6). A class is read
 * only when those before it gave nothing.
 */
const inOrder = ({ columns, condition }: Look): string => `
next AS (
  SELECT h.* FROM (
    SELECT * FROM jsonb_to_recordset($6::jsonb) AS p(class smallint, rank double precision, id uuid)
    WHERE p.class <= $4::smallint ORDER BY p.class) p CROSS JOIN LATERAL (
    SELECT ${columns}, ${KEY} FROM jobs j
    WHERE ${IS_QUEUED} AND ${QUEUE_CLASS} = p.class AND (j.queue_rank, j.id) >= (p.rank, p.id)
      AND ${IS_DUE} AND ${NOT_CANCELLED} AND ${CLAIMER_HAS_NOT_LEFT} AND ${NOT_PAUSED} AND ${IS_SERVED} AND ${FITS}
      ${condition}
    ${IN_ORDER}
    LIMIT 1
    FOR UPDATE SKIP LOCKED) h
  LIMIT 1),`;

/** All that jobs wait in, found by hopping over the index from one to the next. */
const ALL_ROUTES = `
routes AS (
  (SELECT j.type, j.unfit, j.priority FROM jobs j WHERE ${IS_QUEUED} ORDER BY j.type, j.unfit, j.priority LIMIT 1)
  UNION ALL
  SELECT n.* FROM routes r CROSS JOIN LATERAL (
    SELECT j.type, j.unfit, j.priority FROM jobs j
    WHERE ${IS_QUEUED} AND (j.type, j.unfit, j.priority) > (r.type, r.unfit, r.priority)
    ORDER BY j.type, j.unfit, j.priority LIMIT 1) n),`;

/** Those of $6, each with the place where it is read from. */
const KNOWN_ROUTES = `
routes AS (
  SELECT * FROM jsonb_to_recordset($6::jsonb) AS p(
    type text, unfit text[], priority smallint, class smallint, rank double precision, id uuid)),`;

/**
 * The same by routes, (type, unfit, priority): takes the first row of each that is served, and of those the first. The
 * others are locked to the end of the statement, so that a rival takes the rows behind them.
 */
const byRoutes =
  (routes: string, from: string) =>
  ({ columns, condition }: Look): string =>
    `
${routes}
heads AS (
  SELECT h.* FROM (SELECT * FROM routes j WHERE ${IS_SERVED} AND ${FITS} AND ${NOT_PAUSED}) r CROSS JOIN LATERAL (
    SELECT ${columns}, ${KEY} FROM jobs j
    WHERE ${IS_QUEUED} AND j.type = r.type AND j.unfit = r.unfit AND j.priority = r.priority ${from}
      AND ${IS_DUE} AND ${NOT_CANCELLED} AND ${CLAIMER_HAS_NOT_LEFT}
      AND ${QUEUE_CLASS} <= $4::smallint ${condition}
    ${IN_ORDER}
    LIMIT 1
    FOR UPDATE SKIP LOCKED) h),
next AS (SELECT h.* FROM heads h ORDER BY h.class, h.rank, h.id LIMIT 1),`;

function claimText({ before, after, may }: Look, next: string, routes: string): string {
  return `
WITH RECURSIVE ${before}
${next}
${after}
claimed AS (
  UPDATE jobs j SET status = 'processing', worker_id = $1, lease_token = j.lease_token + 1, attempt = j.attempt + 1,
    stage = CASE WHEN j.manifest IS NULL THEN 'downloading' ELSE 'publishing' END,
    progress = CASE WHEN j.manifest IS NULL THEN 0 ELSE j.progress END,
    started_at = coalesce(j.started_at, now()), updated_at = now(), log_seq = j.log_seq + 1
  FROM next n WHERE j.id = n.id AND ${may}
  RETURNING j.*),
attempted AS (
  INSERT INTO job_attempts (job_id, attempt, lease_token, worker_id)
  SELECT u.id, u.attempt, u.lease_token, u.worker_id FROM claimed u),
${appendEvent(
  "claimed",
  "'job.started'",
  "jsonb_build_object('attempt', u.attempt, 'worker_id', u.worker_id, 'stage', u.stage)",
)}
SELECT ${JOB_COLUMNS}, n.*, ${routes} AS routes
FROM (SELECT count(*) > 0 AS found, max(class) AS class FROM next) n LEFT JOIN claimed ON true`;
}

/** Each time a rival was faster one job was claimed, so this many in a row means that others take them all. */
const TRIES_MAX = 20;

const texts = (next: (look: Look) => string, routes = "NULL::jsonb") => ({
  first: claimText(WITHOUT_LIMITS, next(WITHOUT_LIMITS), routes),
  limited: claimText(WITH_LIMITS, next(WITH_LIMITS), routes),
});
const CLAIM_NEXT = texts(inOrder);
const CLAIM_THIS = texts(hinted);
const CLAIM_ROUTED = texts(byRoutes(ALL_ROUTES, ""), "(SELECT coalesce(jsonb_agg(to_jsonb(r)), '[]') FROM routes r)");
const CLAIM_KNOWN_ROUTES = texts(
  byRoutes(KNOWN_ROUTES, `AND (${QUEUE_CLASS}, j.queue_rank, j.id) >= (r.class, r.rank, r.id)`),
);

interface Found {
  readonly claim: Claim | null;
  /** The class whose turn the claimed job had. */
  readonly queueClass: number;
  /** Where it was looked for: all that jobs wait in. */
  readonly routes: readonly Route[];
}

/** Which statement, and its further parameter. */
type Way = readonly [text: { readonly first: string; readonly limited: string }, param: SqlParam | undefined];

async function claimBy(sql: SqlRunner, request: ClaimRequest, [text, param]: Way): Promise<Found> {
  const served = request.priorities === null ? null : request.priorities.map(priorityNumber);
  // Waiting takes a job into a higher class and never into a lower one: where the index has passed the lowest priority
  // that is served there is nothing to find, however much waits behind it.
  const lowestClass = Math.max(...(served ?? PRIORITIES.map(priorityNumber)));
  const params: SqlParam[] = [request.workerId, request.jobTypes, served, lowestClass, request.kind ?? null];
  if (param !== undefined) params.push(param);
  let routes: readonly Route[] = [];
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const [row] = await sql.query<SqlRow>(tries === 0 ? text.first : text.limited, params);
    if (row === undefined) break;
    routes = (row.routes as Route[] | null) ?? [];
    if (row.id !== null) {
      const job = toJob(row);
      const lease = { jobId: job.id, leaseToken: job.leaseToken, workerId: request.workerId };
      return { claim: { job, lease }, queueClass: row.class as number, routes };
    }
    // Found and not claimed: the job's key has a limit; from the second time on, a rival claimed another of its jobs.
    if (row.found !== true) break;
  }
  return { claim: null, queueClass: 0, routes };
}

/** Takes the next job from where the last claim ended, if that is not too long ago; else from the front. */
async function claimNext(sql: SqlRunner, request: ClaimRequest, memory: ClaimMemory): Promise<Claim | null> {
  const routed = request.routed === true;
  const places = routed ? memory.routes() : memory.classes();
  let found: Found | null = null;
  if (places !== null) found = await claimBy(sql, request, [routed ? CLAIM_KNOWN_ROUTES : CLAIM_NEXT, json(places)]);
  if (found === null || found.claim === null) {
    found = await claimBy(sql, request, routed ? [CLAIM_ROUTED, undefined] : [CLAIM_NEXT, json(FRONT)]);
    memory.lookedAtFront(found.routes);
  }
  if (found.claim === null) {
    memory.foundNothing();
    return null;
  }
  const { type, unfit, priority, queueRank: rank, id } = found.claim.job;
  memory.claimed({ type, unfit, priority: priorityNumber(priority), class: found.queueClass, rank, id }, routed);
  return found.claim;
}

/**
 * Takes one queued job that is due, not to be cancelled and not of a key that runs as many jobs as it may, and gives its
 * lease; null when there is none, or the hinted one is gone or has to wait for its key's other jobs. With a claimer's
 * memory a job's turn may come a moment late. After a lost reply the job is held by this worker without its knowledge: its
 * next heartbeat says so, and it gives the job back.
 */
export async function claimJob(
  sql: SqlRunner,
  request: ClaimRequest,
  memory: ClaimMemory = new ClaimMemory(),
): Promise<Claim | null> {
  const { jobId } = request;
  if (jobId === undefined) return await claimNext(sql, request, memory);
  return (await claimBy(sql, request, [CLAIM_THIS, jobId])).claim;
}
