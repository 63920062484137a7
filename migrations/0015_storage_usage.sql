-- storage_usage is kept by the statements that finish jobs and delete outputs. What there was before is counted once; where a
-- binary before this one finishes a job meanwhile, its outputs are not counted, which the next count by hand would find.
INSERT INTO storage_usage (backend, key_id, size_bytes, object_count)
SELECT o.backend, j.key_id, sum(o.size_bytes), count(*)
FROM job_outputs o JOIN jobs j ON j.id = o.job_id
WHERE o.deleted_at IS NULL
GROUP BY o.backend, j.key_id
ON CONFLICT (key_id, backend) DO UPDATE
SET size_bytes = excluded.size_bytes, object_count = excluded.object_count, updated_at = now();
