-- A page of a key's jobs of a rare type without reading all of its others. Most jobs are conversions, which this costs nothing.
CREATE INDEX jobs_key_type_idx ON jobs (key_id, type, id DESC) WHERE type <> 'convert';
