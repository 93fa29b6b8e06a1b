CREATE TABLE bench_raw.lead (
    id               uuid PRIMARY KEY,
    first_name       text,
    last_name        text,
    email            text,
    job_title        text,
    score_total      smallint,
    score_band       text,
    score_version    text,
    score_hash       bytea,
    score_updated_at timestamptz
) WITH (fillfactor = 85);
CREATE INDEX lead_score ON bench_raw.lead (score_total DESC NULLS LAST);
