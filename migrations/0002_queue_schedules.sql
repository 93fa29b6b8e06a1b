-- What recurs, as ops see it. Written by the processes that run the schedules; paused by people.
CREATE TABLE queue.schedule (
    name      text PRIMARY KEY,
    cadence   text NOT NULL,               -- five cron fields, or 'every N minutes'
    zone      text NOT NULL,               -- IANA name of the zone whose clock the cadence follows
    described text NOT NULL,               -- the cadence in plain words
    catch_up  text NOT NULL,               -- what becomes of missed ticks: 'skip', 'latest' or 'all N'
    paused    boolean NOT NULL DEFAULT false, -- ticks that fall due meanwhile are not made up for
    last_due  timestamptz,                 -- nominal time of the last tick that fired
    next_due  timestamptz,                 -- nominal time of the next; null: it has none left
    missed    bigint NOT NULL DEFAULT 0,   -- ticks that fell due and did not fire
    changed_at timestamptz NOT NULL DEFAULT now() -- last change of its definition
);

-- The ledger: a tick is written with its job, in one transaction, by whichever process is first.
CREATE TABLE queue.schedule_tick (
    name     text NOT NULL,                -- queue.schedule.name
    due_at   timestamptz NOT NULL,         -- nominal time
    cause    text NOT NULL CHECK (cause IN ('due', 'asked', 'backfill')),
    fired_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (name, due_at)
);
