-- What ops allow at run time: pauses, limits and rates. What no row names is not restricted, and a row restricts something.
CREATE TABLE queue.rule (
    scope        text NOT NULL CHECK (scope IN ('queue', 'kind', 'lane', 'key')), -- what `name` is the name of
    name         text NOT NULL,                    -- a queue, a kind, the id of a lane, or a limit key
    paused       boolean NOT NULL DEFAULT false,   -- no job of it starts
    max_running  integer CHECK (max_running > 0),  -- most jobs of it that run at once, in all processes together
    lane_running integer CHECK (lane_running > 0), -- of a queue: most jobs of each lane that run at once
    key_running  integer CHECK (key_running > 0),  -- of a queue: most jobs of each limit key that run at once
    turns        boolean NOT NULL DEFAULT false,   -- of a queue: its lanes take turns
    rate_count   integer CHECK (rate_count > 0),   -- most jobs of it that start ...
    rate_seconds double precision CHECK (rate_seconds > 0), -- ... within so many seconds
    rate_burst   integer CHECK (rate_burst > 0),   -- how many may start at once after a quiet time; null: a tenth of a second's
    rate_used    timestamptz,                      -- the time up to which what has started uses up the rate
    changed_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (scope, name),
    CONSTRAINT rate_is_whole CHECK ((rate_count IS NULL) = (rate_seconds IS NULL)),
    CONSTRAINT burst_has_rate CHECK (rate_burst IS NULL OR rate_count IS NOT NULL),
    CONSTRAINT only_queues_have_parts CHECK (scope = 'queue' OR (lane_running IS NULL AND key_running IS NULL AND NOT turns)),
    CONSTRAINT restricts_something CHECK (paused OR turns OR max_running IS NOT NULL OR lane_running IS NOT NULL
        OR key_running IS NOT NULL OR rate_count IS NOT NULL)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON queue.rule TO leadmill_app, leadmill_platform;

INSERT INTO queue.rule (scope, name, paused, changed_at) SELECT 'queue', name, true, changed_at FROM queue.queue WHERE paused;
DROP TABLE queue.queue;

-- State 4: held, a job whose kind or limit key may not start now, out of the way of those behind it.
ALTER TABLE queue.job DROP CONSTRAINT job_state_check;
ALTER TABLE queue.job ADD CONSTRAINT job_state_check CHECK (state BETWEEN 0 AND 4);
ALTER TABLE queue.job ADD COLUMN limit_key text NOT NULL DEFAULT ''; -- jobs of one key share its limits; empty: none
ALTER TABLE queue.job_history ADD COLUMN limit_key text NOT NULL DEFAULT ''; -- as it was in queue.job
CREATE INDEX job_held ON queue.job (queue, kind, limit_key, priority, run_at, id) WHERE state = 4;

-- How many may start at once after a quiet time.
CREATE FUNCTION queue.rate_most(rule queue.rule) RETURNS double precision LANGUAGE sql IMMUTABLE AS $$
    SELECT greatest(1, coalesce(rule.rate_burst, 0), ceil(rule.rate_count / rule.rate_seconds / 10))
$$;

-- How many more jobs may start now under a rate (the generic cell rate algorithm); null: there is no rate.
CREATE FUNCTION queue.rate_left(rule queue.rule) RETURNS integer LANGUAGE sql VOLATILE AS $$
    SELECT CASE WHEN rule.rate_count IS NULL THEN NULL ELSE greatest(0, floor(
        queue.rate_most(rule) - greatest(0, extract(epoch FROM rule.rate_used - clock_timestamp()))
            * rule.rate_count / rule.rate_seconds + 1e-6))::integer END
$$;

-- In how many seconds one more may start; null: there is no rate, or one may start now.
CREATE FUNCTION queue.rate_wait(rule queue.rule) RETURNS double precision LANGUAGE sql VOLATILE AS $$
    SELECT CASE WHEN rule.rate_count IS NOT NULL THEN nullif(greatest(0,
        extract(epoch FROM rule.rate_used - clock_timestamp())
            - (queue.rate_most(rule) - 1) * rule.rate_seconds / rule.rate_count), 0) END
$$;
