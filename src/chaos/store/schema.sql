CREATE SCHEMA chaos;
CREATE TABLE chaos.effect (
    place bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- in the order of commits, for each job
    number bigint NOT NULL,                                -- the job, as the observer knows it
    epoch int NOT NULL,                                    -- the claim that it was written under
    believed_at timestamptz NOT NULL,                      -- by the clock of its process
    at timestamptz NOT NULL DEFAULT now(),                 -- by that of the database
    filling text NOT NULL                                  -- takes room
);
