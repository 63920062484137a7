-- What a job was estimated to take, kept until such a job has run: it then records how far off that was.

CREATE TABLE estimates (
  key_id uuid NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
  -- Of the spec's own text, which jsonb writes in one way only.
  spec_digest text NOT NULL,
  seconds double precision NOT NULL,
  bytes double precision NOT NULL,
  memory_bytes double precision,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (key_id, spec_digest)
);

-- Percent by which `actual` is above (below: negative) what was predicted.
CREATE FUNCTION percent_off(actual double precision, predicted double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE AS $$
  SELECT round(((actual - predicted) / nullif(predicted, 0) * 100)::numeric, 1)::double precision
$$;

-- For the metrics of a job that has run: what was predicted, and how far off it was; nothing where nobody asked.
CREATE FUNCTION estimate_outcome(job_key uuid, job_spec jsonb, metrics jsonb) RETURNS jsonb
LANGUAGE sql STABLE AS $$
  SELECT coalesce((
    SELECT jsonb_strip_nulls(jsonb_build_object(
      'estimated_seconds', e.seconds,
      'estimated_seconds_off_percent', percent_off((metrics ->> 'encode_seconds')::double precision, e.seconds),
      'estimated_bytes', e.bytes,
      'estimated_bytes_off_percent', percent_off((metrics ->> 'output_bytes')::double precision, e.bytes),
      'estimated_memory_bytes', e.memory_bytes,
      'estimated_memory_off_percent', percent_off((metrics ->> 'memory_bytes_peak')::double precision, e.memory_bytes)))
    FROM estimates e WHERE e.key_id = job_key AND e.spec_digest = md5(job_spec::text)), '{}')
$$;
