-- Who is writing an upload, and until when it counts as writing if it is not heard of again.
ALTER TABLE uploads
  ADD COLUMN writer uuid,
  ADD COLUMN writer_until timestamptz,
  -- A plain PUT cannot be taken up again: what breaks off is of no use.
  ADD COLUMN resumable boolean NOT NULL DEFAULT true,
  -- What the client said of it, which it gets back and nobody believes.
  ADD COLUMN metadata jsonb NOT NULL DEFAULT '{}',
  -- What probing found; JSON's null: it is no media.
  ADD COLUMN media jsonb;
CREATE INDEX uploads_unfinished_idx ON uploads (key_id) WHERE status = 'receiving';
CREATE INDEX uploads_deleted_idx ON uploads (id) WHERE status = 'deleted';
-- Which open jobs still need an upload, without a look at those that read something else.
CREATE INDEX jobs_uploads_idx ON jobs USING gin ((spec -> 'inputs'))
  WHERE status IN ('queued', 'processing') AND (spec -> 'inputs')::text LIKE '%"upload://%';
