/**
 * The conditions that keep a job single, as SQL text, each in one place.
 *
 * Statements are assembled from these, so a rule of the protocol cannot be written twice in two ways, and the fault tests
 * can switch off exactly one of them and show what breaks. Conventions: the jobs row is `j`; a fenced statement has the
 * job's id as $1, the lease token as $2 and the worker's id as $3.
 */
import { STAGES } from "./types.ts";

/** The token grows with each claim, so an earlier holder of the same job writes nothing. */
export const HAS_TOKEN = "j.lease_token = $2";
/** A worker's id is new at each process start, so what a former process still has in flight writes nothing. */
export const HAS_WORKER = "j.worker_id = $3";
/** The token alone is not enough: a row that was reaped and waits in the queue still has the old one. */
export const IS_PROCESSING = "j.status = 'processing'";
/** The write guard of every statement sent for an attempt. */
export const HELD = `j.id = $1 AND ${HAS_TOKEN} AND ${HAS_WORKER} AND ${IS_PROCESSING}`;

/** Once a manifest is in the row the job only rolls forward: nothing cancels, fails, times out or poisons it. */
export const NOT_PUBLISHING = "j.manifest IS NULL";
export const IS_PUBLISHING = "j.manifest IS NOT NULL";
export const NOT_CANCELLED = "j.cancel_requested_at IS NULL";
export const CANCEL_WANTED = "j.cancel_requested_at IS NOT NULL";
export const IS_DUE = "j.run_at <= now()";
export const IS_QUEUED = "j.status = 'queued'";
/** The class whose order a job is in: its priority, or the higher one that it has come to by waiting. */
export const QUEUE_CLASS = "coalesce(j.aged_priority, j.priority)";
/**
 * An administrator has not paused the class; the pauses are read once per statement. As a CASE, of which the planner thinks
 * nothing: of a plain condition it thinks that hardly a row passes, and then reads and sorts the whole queue.
 */
export const NOT_PAUSED =
  "CASE WHEN j.priority = ANY (ARRAY(SELECT p.priority FROM queue_pauses p)) THEN false ELSE true END";
export const IS_OPEN = "j.status IN ('queued', 'processing')";
export const IS_FINAL = "j.status IN ('completed', 'failed', 'cancelled')";

/** A worker that is known to have left takes no more jobs, however late its claim arrives. */
export const CLAIMER_HAS_NOT_LEFT = "NOT EXISTS (SELECT FROM workers w WHERE w.id = $1 AND w.left_at IS NOT NULL)";

/** The worker is not of a kind that cannot run the job, given as $5; null: it may run anything. */
export const FITS = "($5::text IS NULL OR $5::text <> ALL (j.unfit))";

/** The key of `j` has a limit on how many of its jobs run at once. */
export const KEY_IS_LIMITED = `EXISTS (
  SELECT FROM api_keys k WHERE k.id = j.key_id AND k.max_concurrent_jobs IS NOT NULL)`;
/** Passes over the jobs of keys that already run as many as they may. */
export const KEY_HAS_ROOM = `NOT (${KEY_IS_LIMITED} AND j.key_id IN (SELECT f.key_id FROM full_keys f))`;
/**
 * Nobody claimed a job of this key since this statement began to look: each claim under a limit makes a new version of
 * the key's row, for which a rival waits and which it then does not recognise.
 */
export const KEY_IS_UNCHANGED = "k.xmin = n.key_version";

/** Dead: its row is missing or says that it left, or it is `$1` ticks behind. Seconds are never counted. */
export const WORKER_IS_GONE = "(w.id IS NULL OR w.left_at IS NOT NULL)";
export const WORKER_IS_BEHIND = "w.seen_tick <= (SELECT l.tick FROM liveness l) - $1::bigint";

/** At most one tick per interval whoever asks. The wall clock of the database is read after the row's lock is held. */
export const TICK_IS_DUE = "l.at <= clock_timestamp() - $1::double precision * interval '1 millisecond'";

/** However long the last tick is ago: an outage of Postgres or a jump of its clock must not age a worker that lives. */
export const TICKS_TO_ADD = `CASE WHEN ${TICK_IS_DUE} THEN 1 ELSE 0 END`;

/** A key that another job is publishing, or whose object is being deleted. */
export const NO_KEY_IS_BUSY = "NOT EXISTS (SELECT FROM busy)";

/** Every step of the manifest was looked at and found: an output nobody saw is not published. */
export const ALL_OUTPUTS_SEEN = `NOT EXISTS (
  SELECT FROM jsonb_array_elements(h.manifest -> 'steps') AS step
  WHERE NOT EXISTS (SELECT FROM seen WHERE seen.ordinal = (step ->> 'ordinal')::integer))`;

/** Only after the deadline does a job in publishing fail. */
export const PUBLISH_IS_OVERDUE = "j.publish_deadline_at <= now()";

/** Staging `s` that nobody will publish: its attempt does not run, and no manifest names its token. */
export const STAGING_NOT_RUNNING = `NOT EXISTS (
  SELECT FROM jobs j WHERE j.id = s.job_id AND j.status = 'processing' AND j.lease_token = s.lease_token)`;
export const STAGING_NOT_IN_MANIFEST = `NOT EXISTS (
  SELECT FROM jobs j WHERE j.id = s.job_id AND (j.manifest ->> 'leaseToken')::bigint = s.lease_token)`;
export const STAGING_IS_ORPHAN = `${STAGING_NOT_RUNNING} AND ${STAGING_NOT_IN_MANIFEST}`;

/** Stages in order as an SQL array, for comparing positions. */
export const STAGE_ORDER = `ARRAY[${STAGES.map((stage) => `'${stage}'`).join(", ")}]::text[]`;
/** Stages only go forward; the same stage again may add what was learned in it. */
export const STAGE_GOES_FORWARD = `array_position(${STAGE_ORDER}, coalesce(h.stage, 'downloading'))
  <= array_position(${STAGE_ORDER}, $4::text)`;
