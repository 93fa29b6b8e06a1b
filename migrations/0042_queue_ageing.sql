-- A job that has waited for too long goes ahead of more urgent ones, once: what it was given is known and comes back.
ALTER TABLE queue.job ADD COLUMN raised_from smallint;
COMMENT ON COLUMN queue.job.raised_from IS 'The priority that it was given, while it has a more urgent one as it has waited for so long.';
