-- A claim touches no index: a running job keeps its state and is told from one that waits by its lease. What runs is found
-- by way of a table of claims, of which one row stands for all jobs of a claim.
DROP INDEX queue.job_leased;
DROP INDEX queue.job_cancel;
ALTER TABLE queue.job DROP CONSTRAINT running_is_leased;

CREATE TABLE queue.claim (
    node   bigint NOT NULL,                     -- queue.node.id that claimed
    number bigint NOT NULL,                     -- of the claim, counted by the process
    at     timestamptz NOT NULL DEFAULT now(),  -- queue.job.started_at of its jobs
    jobs   bigint[] NOT NULL,                   -- queue.job.id of what it claimed; those that have ended may still be in it
    PRIMARY KEY (node, number)
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
COMMENT ON TABLE queue.claim IS 'Where to find what runs: written with the claim, removed once none of its jobs runs.';
COMMENT ON COLUMN queue.claim.node IS 'The node that claimed.';
COMMENT ON COLUMN queue.claim.number IS 'Of the claim, counted by the process.';
COMMENT ON COLUMN queue.claim.at IS 'When: what its jobs have as their start.';
COMMENT ON COLUMN queue.claim.jobs IS 'What it claimed; those that have ended may still be in it.';
-- At most 500 ids, which fit a page; compressing them would cost more than writing them.
ALTER TABLE queue.claim ALTER COLUMN jobs SET STORAGE PLAIN;
GRANT SELECT, INSERT, UPDATE, DELETE ON queue.claim TO leadmill_app, leadmill_platform;

-- What runs is ready, and leased.
UPDATE queue.job SET state = 0, started_at = coalesce(started_at, created_at) WHERE state = 2;
INSERT INTO queue.claim (node, number, at, jobs)
SELECT lease_by, row_number() OVER (PARTITION BY lease_by), started_at, array_agg(id)
FROM (SELECT id, lease_by, started_at, row_number() OVER (PARTITION BY lease_by, started_at ORDER BY id) / 500 AS part
    FROM queue.job WHERE lease_by IS NOT NULL) running
GROUP BY lease_by, started_at, part;
ALTER TABLE queue.job DROP CONSTRAINT job_state_check;
ALTER TABLE queue.job ADD CONSTRAINT job_state_check CHECK (state IN (0, 1, 3, 4));
ALTER TABLE queue.job ADD CONSTRAINT running_is_ready CHECK (lease_by IS NULL OR state = 0);
COMMENT ON COLUMN queue.job.state IS '0 ready, 1 scheduled, 3 parked, 4 held. A ready one that has a lease runs.';
COMMENT ON COLUMN queue.job.lease_by IS 'The node that runs it. In no index, so that a claim changes none.';

CREATE INDEX job_cancel ON queue.job (id) WHERE cancel_reason IS NOT NULL;

-- Every running job, once. Looked up one by one: a join planned for an empty table would read the whole of a full one.
CREATE VIEW queue.running AS
SELECT c.node, c.number, c.at, j.id, j.epoch, j.queue, j.kind, j.lane, j.limit_key
FROM queue.claim c
CROSS JOIN LATERAL unnest(c.jobs) AS claimed (id)
CROSS JOIN LATERAL (
    SELECT job.id, job.epoch, job.queue, job.kind, job.lane, job.limit_key
    FROM queue.job
    WHERE job.id = claimed.id AND job.lease_by = c.node AND job.started_at = c.at
    LIMIT 1
) j;
COMMENT ON VIEW queue.running IS 'Every job that runs, with the claim by which it does.';
GRANT SELECT ON queue.running TO leadmill_app, leadmill_platform;

-- What people call the state of a live job.
CREATE FUNCTION queue.state_name(state smallint, lease_by bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN lease_by IS NULL THEN (ARRAY['ready', 'scheduled', NULL, 'parked', 'held'])[state + 1] ELSE 'running' END
$$;
