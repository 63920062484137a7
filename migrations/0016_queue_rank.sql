-- A job's rank as a function, which has planner settings of its own: see `queueRank` in src/jobs/statements.ts for what it is.
--
-- Each of its three reads is the end of an index. Left to itself the planner sometimes reads and sorts the whole queue
-- instead: of a queue that was empty or not there when statistics were made it thinks that it has one row. A statement
-- that was prepared then keeps that plan while the queue grows.
CREATE FUNCTION queue_rank(of_key uuid, of_class smallint) RETURNS double precision LANGUAGE plpgsql STABLE
SET enable_sort = off SET enable_seqscan = off SET enable_bitmapscan = off AS $$
BEGIN
  RETURN greatest(
    coalesce(
      (SELECT max(r.queue_rank) FROM jobs r
        WHERE r.status = 'processing' AND coalesce(r.aged_priority, r.priority) = of_class),
      (SELECT r.queue_rank FROM jobs r
        WHERE r.status = 'queued' AND coalesce(r.aged_priority, r.priority) = of_class ORDER BY r.queue_rank LIMIT 1),
      extract(epoch FROM clock_timestamp())::double precision),
    (SELECT r.queue_rank FROM jobs r
      WHERE r.status = 'queued' AND r.key_id = of_key AND coalesce(r.aged_priority, r.priority) = of_class
      ORDER BY r.queue_rank DESC LIMIT 1))
    + 1 / coalesce((SELECT k.weight FROM api_keys k WHERE k.id = of_key), 1)::double precision;
END
$$;
