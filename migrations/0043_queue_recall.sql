-- The look at every job for such as run nowhere goes on where it was left off, in whichever process.
CREATE TABLE queue.recall (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),  -- there is one row
    done_at  timestamptz NOT NULL DEFAULT now(),            -- when the last look came to its end
    position bigint NOT NULL DEFAULT 0                      -- queue.job.id up to which the present one has come
);
COMMENT ON TABLE queue.recall IS 'How far the look at every job for such as run nowhere has come.';
COMMENT ON COLUMN queue.recall.one IS 'There is one row.';
COMMENT ON COLUMN queue.recall.done_at IS 'When the last look came to its end.';
COMMENT ON COLUMN queue.recall.position IS 'The id up to which the present one has come; 0 if there is none.';
INSERT INTO queue.recall DEFAULT VALUES;
GRANT SELECT, INSERT, UPDATE, DELETE ON queue.recall TO leadmill_app, leadmill_platform;
