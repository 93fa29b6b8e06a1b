-- The durable queue. Its tables know nothing of the business, so they are not bound to an org.
CREATE SCHEMA queue;

-- Every job that is not finished. No foreign key and no trigger: this is the hot table.
CREATE TABLE queue.job (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    queue        text NOT NULL,                       -- which workers take it
    kind         text NOT NULL,                       -- wire name of the job
    version      smallint NOT NULL DEFAULT 1,         -- of the payload
    priority     smallint NOT NULL DEFAULT 0,         -- lower first
    state        smallint NOT NULL DEFAULT 0          -- 0 ready, 1 scheduled, 2 running, 3 parked
                 CHECK (state BETWEEN 0 AND 3),
    run_at       timestamptz NOT NULL DEFAULT now(),  -- not before
    lane         uuid,                                -- whom it belongs to, opaque here
    payload      jsonb NOT NULL,
    attempt      smallint NOT NULL DEFAULT 0,         -- of the last claim
    max_attempts smallint NOT NULL CHECK (max_attempts > 0),
    epoch        integer NOT NULL DEFAULT 0,          -- counts claims; a write of an older one is refused
    lease_by     bigint,                              -- queue.node.id that runs it
    started_at   timestamptz,                         -- of the last claim
    unique_key   text,                                -- at most one live job of the kind has it
    trace        text,                                -- trace parent of what enqueued it
    progress     jsonb,                               -- what the job noted for its next attempt
    errors       jsonb NOT NULL DEFAULT '[]',         -- one object an attempt that failed: attempt, at, error, node
    log          jsonb NOT NULL DEFAULT '[]',         -- lines that attempts wrote: attempt, at, line
    retried_from bigint,                              -- finished job that it repeats
    cancel_reason text,                               -- why it is to stop, of a running one
    created_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT running_is_leased CHECK ((state = 2) = (lease_by IS NOT NULL))
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.05);

CREATE INDEX job_claim ON queue.job (queue, priority, run_at, id) WHERE state = 0;
CREATE INDEX job_lane ON queue.job (queue, lane, priority, run_at, id) WHERE state = 0;
CREATE INDEX job_due ON queue.job (run_at) WHERE state = 1;
CREATE INDEX job_leased ON queue.job (lease_by) WHERE state = 2;
CREATE INDEX job_cancel ON queue.job (lease_by) WHERE cancel_reason IS NOT NULL;
CREATE INDEX job_parked ON queue.job (kind) WHERE state = 3;
CREATE UNIQUE INDEX job_key_live ON queue.job (kind, unique_key) WHERE unique_key IS NOT NULL;

-- The errors of a job and one more, if there is one: the newest hundred.
CREATE FUNCTION queue.with_error(errors jsonb, attempt smallint, error text, node bigint) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN error IS NULL THEN errors
        ELSE CASE WHEN jsonb_array_length(errors) >= 100 THEN errors - 0 ELSE errors END
            || jsonb_build_object('attempt', attempt, 'at', now(), 'error', error, 'node', node)
    END
$$;

-- The log of a job and what its attempt wrote: pairs of microseconds since it began and text. The newest two hundred lines.
CREATE FUNCTION queue.with_lines(log jsonb, attempt smallint, began timestamptz, lines text) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN lines IS NULL THEN log
        ELSE jsonb_path_query_array(log || (
            SELECT jsonb_agg(jsonb_build_object('attempt', attempt,
                'at', began + (line ->> 0)::bigint * interval '1 microsecond', 'line', line ->> 1) ORDER BY place)
            FROM jsonb_array_elements(lines::jsonb) WITH ORDINALITY AS pair (line, place)
        ), '$[last - 199 to last]')
    END
$$;

-- Every finished job, a partition a day (UTC), dropped as a whole when it is old.
CREATE TABLE queue.job_history (
    id           bigint NOT NULL,                     -- as it was in queue.job
    queue        text NOT NULL,
    kind         text NOT NULL,
    version      smallint NOT NULL,
    priority     smallint NOT NULL,
    lane         uuid,
    payload      jsonb NOT NULL,
    attempt      smallint NOT NULL,
    max_attempts smallint NOT NULL,
    unique_key   text,
    trace        text,
    progress     jsonb,
    errors       jsonb NOT NULL DEFAULT '[]',
    log          jsonb NOT NULL DEFAULT '[]',
    retried_from bigint,
    created_at   timestamptz NOT NULL,
    started_at   timestamptz,                         -- of the last attempt
    finished_at  timestamptz NOT NULL DEFAULT now(),
    outcome      text NOT NULL CHECK (outcome IN ('completed', 'skipped', 'discarded', 'cancelled')),
    reason       text,                                -- why it was skipped, discarded or cancelled
    result       jsonb,                               -- what the job gave back
    PRIMARY KEY (id, finished_at)
) PARTITION BY RANGE (finished_at);
CREATE INDEX job_history_finished ON queue.job_history (finished_at, id);
CREATE INDEX job_history_discarded ON queue.job_history (finished_at, id) WHERE outcome = 'discarded';

-- Takes what no day was ready for, so that finishing a job never fails for want of a partition.
CREATE TABLE queue.job_history_default PARTITION OF queue.job_history DEFAULT;

-- Makes the partition of a day, with what the default one took for it; false if it is there.
CREATE FUNCTION queue.make_history_partition(day date) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    part text := 'job_history_' || to_char(day, 'YYYYMMDD');
    from_at timestamptz := day::timestamp AT TIME ZONE 'UTC';
    to_at timestamptz := (day + 1)::timestamp AT TIME ZONE 'UTC';
BEGIN
    IF to_regclass('queue.' || part) IS NOT NULL THEN
        RETURN false;
    END IF;
    LOCK TABLE queue.job_history_default IN ACCESS EXCLUSIVE MODE;
    IF to_regclass('queue.' || part) IS NOT NULL THEN
        RETURN false; -- another process made it while we waited
    END IF;
    EXECUTE format('CREATE TABLE queue.%I (LIKE queue.job_history INCLUDING ALL)', part);
    EXECUTE format('WITH moved AS (DELETE FROM queue.job_history_default
        WHERE finished_at >= %L AND finished_at < %L RETURNING *) INSERT INTO queue.%I SELECT * FROM moved',
        from_at, to_at, part);
    EXECUTE format('ALTER TABLE queue.job_history ATTACH PARTITION queue.%I FOR VALUES FROM (%L) TO (%L)',
        part, from_at, to_at);
    RETURN true;
END $$;

-- Drops every partition whose last day is before the given one, and such rows of the default one; names them.
CREATE FUNCTION queue.drop_history_before(day date) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    part text;
    dropped text[] := '{}';
BEGIN
    FOR part IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'queue.job_history'::regclass AND c.relname ~ '^job_history_\d{8}$'
            AND to_date(right(c.relname, 8), 'YYYYMMDD') < day
        ORDER BY c.relname
    LOOP
        EXECUTE format('DROP TABLE queue.%I', part);
        dropped := dropped || part;
    END LOOP;
    DELETE FROM queue.job_history_default WHERE finished_at < day::timestamp AT TIME ZONE 'UTC';
    RETURN dropped;
END $$;

-- One row a start of a process that works; it lives as long as it renews its lease.
CREATE TABLE queue.node (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    host        text NOT NULL,
    pid         integer NOT NULL,
    version     text NOT NULL,                        -- of the program
    queues      text[] NOT NULL,                      -- that it serves
    kinds       text[] NOT NULL,                      -- that it knows
    started_at  timestamptz NOT NULL DEFAULT now(),
    seen_at     timestamptz NOT NULL DEFAULT now(),   -- last renewal
    lease_until timestamptz NOT NULL,                 -- after this its jobs are taken back
    stopped_at  timestamptz                           -- when it said that it ends; one that died says nothing
);

-- What ops set for a queue; one without a row runs.
CREATE TABLE queue.queue (
    name       text PRIMARY KEY,
    paused     boolean NOT NULL DEFAULT false,
    changed_at timestamptz NOT NULL DEFAULT now()
);
