DROP SCHEMA IF EXISTS bench_raw CASCADE;
CREATE SCHEMA bench_raw;
CREATE TABLE bench_raw.job (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    queue      text NOT NULL,
    kind       text NOT NULL,
    priority   smallint NOT NULL DEFAULT 0,
    state      smallint NOT NULL DEFAULT 0,
    run_at     timestamptz NOT NULL DEFAULT now(),
    payload    jsonb NOT NULL,
    attempt    smallint NOT NULL DEFAULT 0,
    started_at timestamptz
);
CREATE INDEX job_claim ON bench_raw.job (queue, priority, run_at, id) WHERE state = 0;
CREATE TABLE bench_raw.history (LIKE bench_raw.job, finished_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE bench_raw.event (
    id           uuid PRIMARY KEY,
    org_id       uuid NOT NULL,
    dedupe_key   text NOT NULL UNIQUE,
    content_type text,
    headers      jsonb NOT NULL,
    body         bytea NOT NULL,
    submission   jsonb NOT NULL,
    received_at  timestamptz NOT NULL
);
