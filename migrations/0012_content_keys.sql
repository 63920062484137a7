-- Keys of encrypted packages that this server serves itself. They outlive their jobs: a package can be played for as long as
-- it lies in its storage, which nobody here learns the end of. A token is stored by its hash, as API keys are.
CREATE TABLE content_keys (
  token_hash bytea PRIMARY KEY,
  job_id uuid NOT NULL,
  content_key bytea NOT NULL CHECK (length(content_key) = 16),
  created_at timestamptz NOT NULL DEFAULT now()
);
