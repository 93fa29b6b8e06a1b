-- Jobs that run, as the limits count them: what running means is said here, and nowhere else for them.
CREATE VIEW queue.running_job AS SELECT id, queue, kind, lane, limit_key FROM queue.job WHERE state = 2;
COMMENT ON VIEW queue.running_job IS 'Jobs that run, as the limits count them.';
COMMENT ON COLUMN queue.running_job.id IS 'As in queue.job.';
COMMENT ON COLUMN queue.running_job.queue IS 'As in queue.job.';
COMMENT ON COLUMN queue.running_job.kind IS 'As in queue.job.';
COMMENT ON COLUMN queue.running_job.lane IS 'As in queue.job.';
COMMENT ON COLUMN queue.running_job.limit_key IS 'As in queue.job.';
GRANT SELECT ON queue.running_job TO leadmill_app, leadmill_platform;
