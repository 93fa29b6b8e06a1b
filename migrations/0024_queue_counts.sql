-- How many jobs ended, without looking at them. Whoever moves jobs to the history notes how many, a row a group; maintenance
-- adds the notes up. A sum over both tables is right at any moment.
CREATE TABLE queue.counter (
    queue    text NOT NULL,
    outcome  text NOT NULL,                            -- as in queue.job_history
    minute   timestamptz NOT NULL,                     -- in which they ended
    made     timestamptz NOT NULL,                     -- the minute in which they had been enqueued
    count    bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

-- The notes added up: by the minute for some hours, then by the hour for some days, then in one row.
CREATE TABLE queue.tally (
    grain    text NOT NULL CHECK (grain IN ('minute', 'hour', 'ever')),
    at       timestamptz NOT NULL,                     -- start of the minute or hour; -infinity for ever
    queue    text NOT NULL,
    outcome  text NOT NULL,                            -- as in queue.job_history, or 'made' for jobs that were enqueued then
    count    bigint NOT NULL,
    PRIMARY KEY (grain, at, queue, outcome)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON queue.counter, queue.tally TO leadmill_app, leadmill_platform;

-- What ended before notes were taken.
INSERT INTO queue.tally (grain, at, queue, outcome, count)
SELECT 'minute', date_trunc('minute', finished_at), queue, outcome, count(*)
FROM queue.job_history
GROUP BY 2, 3, 4;
