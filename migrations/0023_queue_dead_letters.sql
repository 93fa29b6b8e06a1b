-- Dead letters of one cause are found by the fingerprint of their last error: of its text without what differs from job to job.
ALTER TABLE queue.job_history ADD COLUMN fingerprint bigint; -- of a discarded job; none if it ended before fingerprints were kept
COMMENT ON COLUMN queue.job_history.fingerprint IS 'Of the last error of a discarded job, without what differs from job to job.';

-- Its leading columns find the letters of a cause, its last ones hand them out oldest first.
CREATE INDEX job_history_cause ON queue.job_history (kind, fingerprint, finished_at, id) WHERE outcome = 'discarded';
