-- Results that a later job may take over, and answers as they were sent.

-- What a completed job was made from and by, as a hash: a job with the same may take its outputs over. One job may have
-- several, by how well its input is known.
CREATE TABLE reusable_results (
  key_id uuid NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
  fingerprint text NOT NULL,
  job_id uuid NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  PRIMARY KEY (key_id, fingerprint, job_id)
);
CREATE INDEX reusable_results_job_idx ON reusable_results (job_id);

-- The stored answer's very bytes: jsonb keeps neither the order of names nor the way in which a number is written.
-- response_body is written too, for a replica of the version before.
ALTER TABLE idempotency_keys ADD COLUMN response_text text, ADD COLUMN response_location text;
