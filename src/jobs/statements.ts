/**
 * Parts that several statements share: events, the end of an attempt, and the rank in the queue.
 *
 * A change of a job, its event and its attempt's row are written by one statement, as common table expressions over the
 * changed row; that is why these are pieces of text and not functions that query.
 */

/**
 * Appends an event from the rows of the expression `from` (which has `id` and the already raised `log_seq`): the number
 * comes from the row that this very statement has locked, so events of a job have neither gaps nor doubles.
 */
export function appendEvent(from: string, type: string, data: string): string {
  return `event AS (
  INSERT INTO job_logs (job_id, seq, type, data)
  SELECT u.id, u.log_seq, ${type}, ${data} FROM ${from} u)`;
}

/** Ends the attempt of the rows of `from`, which has `id`, `attempt` and what `outcome` and `error` refer to. */
export function endAttempt(from: string, outcome: string, error = "NULL::jsonb"): string {
  return `ended AS (
  UPDATE job_attempts a SET ended_at = now(), outcome = ${outcome}, error = ${error}
  FROM ${from} u WHERE a.job_id = u.id AND a.attempt = u.attempt AND a.ended_at IS NULL)`;
}

/** What every change that frees a job from its worker sets. */
export const RELEASED = "worker_id = NULL, stage = NULL, updated_at = now(), log_seq = j.log_seq + 1";

/**
 * The rank of a job that enters its priority class now: first come, first served by the database's clock. It is the one
 * place that decides the order inside a class; `job` names the row, or the values being inserted, that has `key_id`.
 */
export function queueRank(_job: string): string {
  return "extract(epoch FROM clock_timestamp())::double precision";
}

/** A number of milliseconds as an interval. */
export function milliseconds(expression: string): string {
  return `(${expression})::double precision * interval '1 millisecond'`;
}
