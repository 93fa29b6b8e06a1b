-- Many jobs that belong together: how far they have got, and one job that runs when all of them have ended.
CREATE TABLE queue.batch (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name          text NOT NULL,                       -- for people
    lane          uuid,                                -- whom it belongs to, opaque here
    total         bigint NOT NULL DEFAULT 0,           -- jobs that were added to it, as of its sealing
    remaining     bigint NOT NULL DEFAULT 0,           -- of them those that have not ended; below zero while it is open, as additions are noted apart
    failed        bigint NOT NULL DEFAULT 0,           -- of them those that ended as dead letters
    cancelled     bigint NOT NULL DEFAULT 0,           -- of them those that were cancelled or deleted
    on_complete   jsonb,                               -- the job to enqueue when none remains
    completed_job bigint,                              -- the job that was enqueued then
    created_at    timestamptz NOT NULL DEFAULT now(),
    sealed_at     timestamptz,                         -- since then nothing can be added
    completed_at  timestamptz,                         -- when the last one ended
    CONSTRAINT only_sealed_ones_complete CHECK (completed_at IS NULL OR sealed_at IS NOT NULL)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 500);

CREATE INDEX batch_open ON queue.batch (id) WHERE completed_at IS NULL;
CREATE INDEX batch_completed ON queue.batch (completed_at) WHERE completed_at IS NOT NULL;

-- What was added to an open batch. A row an addition, so that who adds in a long transaction holds up no one whose jobs end.
CREATE TABLE queue.batch_addition (
    batch_id bigint NOT NULL,                          -- queue.batch.id
    added    bigint NOT NULL CHECK (added > 0)         -- how many jobs
);
CREATE INDEX batch_addition_batch ON queue.batch_addition (batch_id);

ALTER TABLE queue.job ADD COLUMN batch_id bigint;         -- the batch that waits for its end
ALTER TABLE queue.job_history ADD COLUMN batch_id bigint; -- as it was in queue.job
COMMENT ON COLUMN queue.job.batch_id IS 'The batch that waits for its end.';
COMMENT ON COLUMN queue.job_history.batch_id IS 'The batch that it ended in.';

CREATE INDEX job_batch ON queue.job (batch_id, id) WHERE batch_id IS NOT NULL;
CREATE INDEX job_history_batch ON queue.job_history (batch_id, finished_at, id) WHERE batch_id IS NOT NULL;

GRANT SELECT, INSERT, UPDATE, DELETE ON queue.batch, queue.batch_addition TO leadmill_app, leadmill_platform;
GRANT USAGE ON SEQUENCE queue.batch_id_seq TO leadmill_app, leadmill_platform;
