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
 * The rank of a job that enters a class: start-time fair queueing between keys, and the one place that decides the order
 * inside a class. It is the later of the class's virtual time and of the key's last rank there, plus the job's cost (one)
 * over the key's weight. So a key's jobs lie one behind the other, a key that comes anew begins where the class is and not
 * behind what others have piled up, and a key of weight two advances twice as fast.
 *
 * The virtual time is the highest rank that runs, else the lowest that waits, else the clock's seconds. Rejected: a row
 * with the virtual time, which every claim would have to write, one behind the other; a row with each key's last rank,
 * which would do the same to a key's submissions. Reading them leaves ties between jobs that one key submits at once.
 * It is a function of the database (`migrations/`), so that its plan has settings of its own.
 *
 * `job` names the row, or the values being inserted, that has `key_id`; `priority` is the class's number in SQL.
 */
export function queueRank(job: string, priority: string): string {
  return `queue_rank(${job}.key_id, (${priority})::smallint)`;
}

/** A number of milliseconds as an interval. */
export function milliseconds(expression: string): string {
  return `(${expression})::double precision * interval '1 millisecond'`;
}

/** From now until a time, by the database's clock: the host's may be another. */
export function millisecondsUntil(expression: string): string {
  return `(extract(epoch FROM ${expression} - clock_timestamp()) * 1000)::double precision`;
}
