-- How leads are scored, and every score ever given.

CREATE TABLE scoring_profiles (
    id                uuid NOT NULL,                                      -- UUIDv7 from the application
    org_id            uuid NOT NULL REFERENCES orgs (id),                 -- the org
    name              text NOT NULL,                                      -- as shown to people
    version           text NOT NULL,                                      -- e.g. v1.0; a change is a new version
    model             text NOT NULL CHECK (model IN ('composition', 'factors', 'rules', 'composite')), -- which rules
    config            jsonb NOT NULL CHECK (jsonb_typeof(config) = 'object'), -- weights, caps, tiers
    band_warm         smallint NOT NULL DEFAULT 40,                       -- warm from here
    band_hot          smallint NOT NULL DEFAULT 70,                       -- hot from here
    is_active         boolean NOT NULL DEFAULT false,                     -- the one that scores
    activated_at      timestamptz,                                        -- since when
    created_by_user_id uuid,                                              -- who made it
    created_at        timestamptz NOT NULL DEFAULT now(),                 -- when it was made
    CONSTRAINT bands_ascend CHECK (0 < band_warm AND band_warm < band_hot AND band_hot <= 100),
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, name, version)
);
CREATE UNIQUE INDEX scoring_profiles_active_uq ON scoring_profiles (org_id) WHERE is_active;
COMMENT ON TABLE scoring_profiles IS 'Versions of how an org scores.';

CREATE TABLE scoring_rules (
    id                uuid NOT NULL,                                      -- UUIDv7 from the application
    org_id            uuid NOT NULL REFERENCES orgs (id),                 -- the org
    name              text,                                               -- as shown to people
    criteria_type     text NOT NULL,                                      -- the field looked at: email_domain, custom_fields.x, …
    condition         text NOT NULL                                       -- how it is compared
                      CHECK (condition IN ('equals', 'not_equals', 'contains', 'not_contains', 'starts_with', 'ends_with',
                             'greater_than', 'greater_or_equal', 'less_than', 'less_or_equal', 'in', 'not_in', 'exists',
                             'not_exists')),
    value             jsonb,                                              -- what it is compared with
    points            int NOT NULL CHECK (points BETWEEN -100 AND 100),   -- added when it holds
    is_active         boolean NOT NULL DEFAULT true,                      -- an inactive one is not looked at
    created_by_user_id uuid,                                              -- who made it
    created_at        timestamptz NOT NULL DEFAULT now(),                 -- when it was made
    updated_at        timestamptz NOT NULL DEFAULT now(),                 -- kept by a trigger
    PRIMARY KEY (org_id, id)
);
CREATE INDEX scoring_rules_org_ix ON scoring_rules (org_id) WHERE is_active;
COMMENT ON TABLE scoring_rules IS 'Points an org adds or takes for single signs.';

CREATE TABLE mql_triggers (
    org_id            uuid NOT NULL REFERENCES orgs (id),                 -- the org
    metric            text NOT NULL                                       -- what is counted
                      CHECK (metric IN ('demo_requested', 'content_downloads', 'website_visits', 'email_clicks',
                                        'email_opens', 'lead_score')),
    threshold         int NOT NULL,                                       -- reached from here
    is_active         boolean NOT NULL DEFAULT true,                      -- an inactive one is not looked at
    updated_at        timestamptz NOT NULL DEFAULT now(),                 -- kept by a trigger
    PRIMARY KEY (org_id, metric)
);
COMMENT ON TABLE mql_triggers IS 'Any one of these makes a lead marketing qualified.';

CREATE TABLE lead_scores (
    id                uuid NOT NULL,                                      -- UUIDv7 from the application
    org_id            uuid NOT NULL,                                      -- the org
    lead_id           uuid NOT NULL,                                      -- the lead
    score             smallint NOT NULL CHECK (score BETWEEN 0 AND 100),  -- the result
    band              text NOT NULL CHECK (band IN ('cold', 'warm', 'hot')), -- by the profile's thresholds
    previous_score    smallint,                                           -- NULL: the first
    version           text NOT NULL,                                      -- of the profile
    profile_id        uuid NOT NULL,                                      -- the profile
    factors           jsonb NOT NULL,                                     -- [{key, raw, points, cap}], adding up to the score
    trigger           text NOT NULL                                       -- what caused the calculation
                      CHECK (trigger IN ('created', 'refresh', 'behaviour', 'enrichment', 'manual', 'profile_change', 'import')),
    input_hash        bytea NOT NULL,                                     -- of profile version and inputs
    run_id            uuid,                                               -- the refresh run; NULL: a single calculation
    computed_at       timestamptz NOT NULL,                               -- when; of a run, its nominal time
    PRIMARY KEY (org_id, lead_id, computed_at, id)
) PARTITION BY RANGE (computed_at);
CREATE TABLE lead_scores_default PARTITION OF lead_scores DEFAULT;
-- A run that is done again writes no score twice.
CREATE UNIQUE INDEX lead_scores_run_uq ON lead_scores (org_id, lead_id, run_id, computed_at) WHERE run_id IS NOT NULL;
CREATE TRIGGER lead_scores_immutable BEFORE UPDATE OR DELETE ON lead_scores FOR EACH ROW EXECUTE FUNCTION deny_mutation();
COMMENT ON TABLE lead_scores IS 'Every score a lead was given, with its reasons; never changed.';
