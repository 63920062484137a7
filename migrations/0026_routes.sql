-- Jobs go where they can run: which kinds of workers a job cannot run on, and an index by what a worker may be picky about.

-- What a kind of worker is called is in src/jobs/kinds.ts; a job that any of them can run names none.
ALTER TABLE jobs ADD COLUMN unfit text[] NOT NULL DEFAULT '{}';

-- A worker that does not serve everything looks at the first rows of each (type, unfit, priority) that it serves, and passes
-- over the others however many wait there.
CREATE INDEX jobs_route_idx ON jobs (type, unfit, priority, (coalesce(aged_priority, priority)), queue_rank, id)
  WHERE status = 'queued';

-- It served the claims of the binary before 0002.
DROP INDEX jobs_claim_idx;
