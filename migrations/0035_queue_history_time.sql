-- An entry for each finished job less: rows of the history lie in the order in which they were finished, so a summary of each
-- stretch of pages finds those of a time. Dead letters keep their index by time.
DROP INDEX queue.job_history_finished;
CREATE INDEX job_history_time ON queue.job_history USING brin (finished_at) WITH (pages_per_range = 32, autosummarize = on);
