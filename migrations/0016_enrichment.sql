-- What outside providers are asked about leads, and what they said.

CREATE TABLE enrichment_providers (
    id                uuid NOT NULL,                                      -- UUIDv7 from the application
    org_id            uuid NOT NULL REFERENCES orgs (id),                 -- the org
    key               text NOT NULL,                                      -- its name, e.g. pdl
    priority          int NOT NULL DEFAULT 100,                           -- asked in this order, lowest first
    is_enabled        boolean NOT NULL DEFAULT true,                      -- a disabled one is not asked
    config            jsonb NOT NULL CHECK (jsonb_typeof(config) = 'object'), -- request, outcome table, field map
    credentials_enc   bytea,                                              -- sealed; never shown
    credentials_key_id text,                                              -- which key sealed it
    daily_credit_cap  numeric CHECK (daily_credit_cap >= 0),              -- spend limit
    paused_until      timestamptz,                                        -- asked to wait, or out of credits
    pause_reason      text,                                               -- why
    created_at        timestamptz NOT NULL DEFAULT now(),                 -- when it was connected
    updated_at        timestamptz NOT NULL DEFAULT now(),                 -- kept by a trigger
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, key)
);
COMMENT ON TABLE enrichment_providers IS 'Whom an org asks about its leads.';

CREATE TABLE enrichment_runs (
    id                uuid NOT NULL,                                      -- UUIDv7 from the application
    org_id            uuid NOT NULL,                                      -- the org
    lead_id           uuid NOT NULL,                                      -- the lead asked about
    provider_key      text NOT NULL,                                      -- who was asked
    request_hash      bytea NOT NULL,                                     -- of the question
    state             text NOT NULL CHECK (state IN ('queued', 'in_flight', 'pending', 'done')), -- how far
    outcome           text CHECK (outcome IN ('matched', 'not_found', 'rate_limited', 'out_of_credits', 'auth_error',
                                              'invalid_input', 'blocked', 'error')), -- what came of it
    http_status       int,                                                -- of the answer
    external_request_id text,                                             -- to ask for a late answer
    poll_after        timestamptz,                                        -- when to ask again
    credits           numeric,                                            -- what it cost
    likelihood        numeric,                                            -- how sure the provider is
    response          jsonb,                                              -- the raw answer
    error             text,                                               -- what went wrong
    started_at        timestamptz NOT NULL DEFAULT now(),                 -- when the question was put
    finished_at       timestamptz,                                        -- when it was settled
    CONSTRAINT outcome_when_done CHECK ((state = 'done') = (outcome IS NOT NULL)),
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, lead_id) REFERENCES leads (org_id, id) ON DELETE CASCADE
);
-- The same question about the same lead is put once, unless it failed.
CREATE UNIQUE INDEX enrichment_runs_once ON enrichment_runs (org_id, lead_id, provider_key, request_hash)
    WHERE state <> 'done' OR outcome IN ('matched', 'not_found');
COMMENT ON TABLE enrichment_runs IS 'Every question put to a provider.';

CREATE TABLE enrichment_cache (
    org_id            uuid NOT NULL,                                      -- the org that paid for it
    provider_key      text NOT NULL,                                      -- who said it
    request_hash      bytea NOT NULL,                                     -- of the question
    outcome           text NOT NULL CHECK (outcome IN ('matched', 'not_found')), -- only settled answers are kept
    response          jsonb,                                              -- the raw answer
    fetched_at        timestamptz NOT NULL,                               -- when it was said
    expires_at        timestamptz NOT NULL,                               -- when to ask afresh
    PRIMARY KEY (org_id, provider_key, request_hash)
);
COMMENT ON TABLE enrichment_cache IS 'Answers that need not be bought twice.';
