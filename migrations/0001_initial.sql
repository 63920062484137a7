-- The tables of Rendiff. Postgres decides: every state change of a job is one conditional statement on these rows.
-- Times are the database's own; ids are UUIDv7 made by the application, so they sort by creation.

CREATE TABLE settings (
  name text PRIMARY KEY,
  value text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE api_keys (
  id uuid PRIMARY KEY,
  name text NOT NULL,
  -- SHA-256 of the whole key; the key itself is shown once and never stored.
  digest bytea NOT NULL UNIQUE,
  role text NOT NULL CHECK (role IN ('admin', 'user', 'readonly')),
  allowed_operations text[],
  read_backends text[],
  write_backends text[],
  rate_limit_per_minute integer CHECK (rate_limit_per_minute > 0),
  max_concurrent_jobs integer CHECK (max_concurrent_jobs > 0),
  weight real NOT NULL DEFAULT 1 CHECK (weight > 0),
  monthly_limit_minutes integer CHECK (monthly_limit_minutes > 0),
  webhook_secret text,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz
);

CREATE TABLE batches (
  id uuid PRIMARY KEY,
  key_id uuid NOT NULL REFERENCES api_keys (id),
  mode text NOT NULL CHECK (mode IN ('partial', 'atomic')),
  metadata jsonb NOT NULL DEFAULT '{}',
  webhook_url text,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX batches_key_idx ON batches (key_id, id DESC);

CREATE TABLE jobs (
  id uuid PRIMARY KEY,
  key_id uuid NOT NULL REFERENCES api_keys (id),
  type text NOT NULL CHECK (type IN ('convert', 'stream', 'analyze')),
  status text NOT NULL CHECK (status IN ('queued', 'processing', 'completed', 'failed', 'cancelled')),
  stage text CHECK (stage IN ('downloading', 'probing', 'planning', 'encoding', 'verifying', 'uploading', 'publishing')),
  progress real NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 100),
  -- 0 high, 1 normal, 2 low: the order of claims is (priority, queue_rank, id).
  priority smallint NOT NULL CHECK (priority BETWEEN 0 AND 2),
  queue_rank double precision NOT NULL,
  spec jsonb NOT NULL,
  metadata jsonb NOT NULL DEFAULT '{}',
  plan jsonb,
  checkpoint jsonb,
  results jsonb,
  error jsonb,
  warnings jsonb NOT NULL DEFAULT '[]',
  metrics jsonb NOT NULL DEFAULT '{}',
  -- What will be made visible. Once it is set the job only rolls forward.
  manifest jsonb,
  publish_deadline_at timestamptz,
  attempt integer NOT NULL DEFAULT 0,
  -- Attempts that ended with a retryable error, and attempts that ended without a verdict.
  failure_count integer NOT NULL DEFAULT 0,
  crash_count integer NOT NULL DEFAULT 0,
  lease_token bigint NOT NULL DEFAULT 0,
  worker_id uuid,
  log_seq bigint NOT NULL DEFAULT 0,
  run_at timestamptz NOT NULL DEFAULT now(),
  cancel_requested_at timestamptz,
  batch_id uuid REFERENCES batches (id),
  retry_of uuid,
  webhook_url text,
  webhook_events text[] NOT NULL DEFAULT '{}',
  request_id text,
  created_at timestamptz NOT NULL DEFAULT now(),
  started_at timestamptz,
  completed_at timestamptz,
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT jobs_processing_is_held CHECK ((status = 'processing') = (worker_id IS NOT NULL)),
  CONSTRAINT jobs_final_has_end CHECK ((status IN ('completed', 'failed', 'cancelled')) = (completed_at IS NOT NULL)),
  CONSTRAINT jobs_failed_has_error CHECK (status <> 'failed' OR error IS NOT NULL)
);
CREATE INDEX jobs_claim_idx ON jobs (priority, queue_rank, id) WHERE status = 'queued';
CREATE INDEX jobs_run_at_idx ON jobs (run_at) WHERE status = 'queued';
CREATE INDEX jobs_processing_idx ON jobs (worker_id) WHERE status = 'processing';
CREATE INDEX jobs_key_idx ON jobs (key_id, id DESC);
CREATE INDEX jobs_key_status_idx ON jobs (key_id, status, id DESC);
CREATE INDEX jobs_status_idx ON jobs (status, id DESC);
CREATE INDEX jobs_batch_idx ON jobs (batch_id) WHERE batch_id IS NOT NULL;
CREATE INDEX jobs_retention_idx ON jobs (completed_at) WHERE completed_at IS NOT NULL;
CREATE INDEX jobs_metadata_idx ON jobs USING gin (metadata jsonb_path_ops);

CREATE TABLE job_attempts (
  job_id uuid NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  attempt integer NOT NULL,
  lease_token bigint NOT NULL,
  worker_id uuid NOT NULL,
  started_at timestamptz NOT NULL DEFAULT now(),
  ended_at timestamptz,
  outcome text CHECK (outcome IN ('completed', 'failed', 'retried', 'cancelled', 'snoozed', 'returned', 'crashed')),
  error jsonb,
  PRIMARY KEY (job_id, attempt)
);

-- Durable events, in order and without gaps: seq comes from jobs.log_seq under the row's lock.
CREATE TABLE job_logs (
  job_id uuid NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  seq bigint NOT NULL,
  type text NOT NULL,
  data jsonb NOT NULL DEFAULT '{}',
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (job_id, seq)
);

CREATE TABLE job_outputs (
  job_id uuid NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  ordinal integer NOT NULL,
  role text NOT NULL,
  backend text NOT NULL,
  key text NOT NULL,
  uri text NOT NULL,
  size_bytes bigint NOT NULL,
  sha256 text NOT NULL,
  media_type text NOT NULL,
  media jsonb NOT NULL,
  -- The object that was published (ETag, generation, inode): only this very object is ever deleted.
  identity text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz,
  PRIMARY KEY (job_id, ordinal)
);
CREATE INDEX job_outputs_object_idx ON job_outputs (backend, key);

-- What attempts are uploading to where no reader looks; the sweeper deletes what nobody will publish.
CREATE TABLE staging (
  job_id uuid NOT NULL,
  lease_token bigint NOT NULL,
  backend text NOT NULL,
  key text NOT NULL,
  staged jsonb,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (job_id, lease_token, backend, key)
);

-- An output key belongs to one publishing job at a time.
CREATE TABLE output_claims (
  backend text NOT NULL,
  key text NOT NULL,
  job_id uuid NOT NULL,
  claimed_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (backend, key)
);
CREATE INDEX output_claims_job_idx ON output_claims (job_id);

-- Time for leases is counted in ticks, so that an outage or a clock jump reaps nobody.
CREATE TABLE liveness (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  tick bigint NOT NULL,
  at timestamptz NOT NULL
);
INSERT INTO liveness (tick, at) VALUES (0, now());

CREATE TABLE workers (
  id uuid PRIMARY KEY,
  role text NOT NULL CHECK (role IN ('api', 'worker', 'combined')),
  class text NOT NULL DEFAULT 'default',
  version text NOT NULL,
  slots integer NOT NULL,
  job_types text[],
  priorities smallint[],
  capabilities jsonb NOT NULL DEFAULT '{}',
  seen_tick bigint NOT NULL,
  draining boolean NOT NULL DEFAULT false,
  started_at timestamptz NOT NULL DEFAULT now(),
  left_at timestamptz
);
CREATE INDEX workers_seen_idx ON workers (seen_tick) WHERE left_at IS NULL;

-- Saves work between replicas (the reconciler's turn); it never protects anything.
CREATE TABLE leases (
  name text PRIMARY KEY,
  holder uuid NOT NULL,
  until timestamptz NOT NULL
);

CREATE TABLE webhook_deliveries (
  id uuid PRIMARY KEY,
  job_id uuid NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  event text NOT NULL,
  url text NOT NULL,
  body jsonb NOT NULL,
  status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'failed')),
  attempt integer NOT NULL DEFAULT 0,
  next_at timestamptz NOT NULL DEFAULT now(),
  lease_token bigint NOT NULL DEFAULT 0,
  leased_until timestamptz,
  tries jsonb NOT NULL DEFAULT '[]',
  created_at timestamptz NOT NULL DEFAULT now(),
  ended_at timestamptz
);
CREATE INDEX webhook_deliveries_due_idx ON webhook_deliveries (next_at) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_job_idx ON webhook_deliveries (job_id, id);

CREATE TABLE idempotency_keys (
  key_id uuid NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
  idempotency_key text NOT NULL,
  route text NOT NULL,
  body_sha256 text NOT NULL,
  -- Null while the first request is in flight.
  response_status integer,
  response_body jsonb,
  locked_until timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (key_id, idempotency_key)
);
CREATE INDEX idempotency_keys_expiry_idx ON idempotency_keys (expires_at);

CREATE TABLE presets (
  key_id uuid REFERENCES api_keys (id) ON DELETE CASCADE,
  name text NOT NULL,
  version integer NOT NULL DEFAULT 1,
  spec jsonb NOT NULL,
  description text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (key_id, name, version)
);

CREATE TABLE uploads (
  id uuid PRIMARY KEY,
  key_id uuid NOT NULL REFERENCES api_keys (id),
  name text NOT NULL,
  backend text NOT NULL,
  key text NOT NULL,
  size_bytes bigint,
  offset_bytes bigint NOT NULL DEFAULT 0,
  status text NOT NULL DEFAULT 'receiving' CHECK (status IN ('receiving', 'complete', 'deleted')),
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL
);
CREATE INDEX uploads_expiry_idx ON uploads (expires_at) WHERE status <> 'deleted';
CREATE INDEX uploads_key_idx ON uploads (key_id, id DESC);

CREATE TABLE audit_log (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT now(),
  actor text NOT NULL,
  action text NOT NULL,
  target text,
  address text,
  request_id text,
  data jsonb NOT NULL DEFAULT '{}',
  previous_sha256 text NOT NULL,
  sha256 text NOT NULL
);

CREATE TABLE system_metrics (
  worker_id uuid NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  sample jsonb NOT NULL,
  PRIMARY KEY (worker_id, at)
);
CREATE INDEX system_metrics_at_idx ON system_metrics (at);

CREATE TABLE storage_usage (
  backend text NOT NULL,
  key_id uuid NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
  size_bytes bigint NOT NULL DEFAULT 0,
  object_count bigint NOT NULL DEFAULT 0,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (key_id, backend)
);
