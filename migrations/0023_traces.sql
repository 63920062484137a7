-- The `traceparent` (W3C Trace Context) of the request that made a job: whoever runs it, ends it or tells of it, in whichever
-- replica, goes on in the same trace. Null for jobs of before, and where no trace was.
ALTER TABLE jobs ADD COLUMN traceparent text;
