-- Fair shares between keys, ageing between classes, and classes that an administrator has paused.

-- The class a job has come to by waiting, where that is higher than its own; null: its own.
ALTER TABLE jobs ADD COLUMN aged_priority smallint CHECK (aged_priority BETWEEN 0 AND 2);

-- The order of claims is (class, queue_rank, id). The index without the class it came to stays for the binary before.
CREATE INDEX jobs_class_idx ON jobs ((coalesce(aged_priority, priority)), queue_rank, id) WHERE status = 'queued';
-- A key's last rank in a class, for the rank of its next job.
CREATE INDEX jobs_key_rank_idx ON jobs (key_id, (coalesce(aged_priority, priority)), queue_rank) WHERE status = 'queued';

CREATE TABLE queue_pauses (
  priority smallint PRIMARY KEY CHECK (priority BETWEEN 0 AND 2),
  paused_by text NOT NULL,
  paused_at timestamptz NOT NULL DEFAULT now()
);
