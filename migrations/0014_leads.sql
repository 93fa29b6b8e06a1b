-- Leads and everything that hangs on one: counters, histories, timeline, contacts, assignment.

CREATE TABLE leads (
    id                uuid NOT NULL,                                      -- UUIDv7 from the application
    org_id            uuid NOT NULL REFERENCES orgs (id),                 -- the org
    space_id          uuid,                                               -- optional client workspace
    created_by_user_id uuid,                                              -- who typed it in; NULL: captured
    -- who it is
    name              text,                                               -- the name as given in one piece
    first_name        text,                                               -- given or split from name
    last_name         text,                                               -- given or split from name
    display_name      text GENERATED ALWAYS AS (coalesce(nullif(btrim(name), ''),
                          nullif(btrim(coalesce(first_name, '') || ' ' || coalesce(last_name, '')), ''),
                          email)) STORED,                                 -- what lists show
    email             text CHECK (length(email) <= 320),                  -- as given, trimmed
    email_norm        text GENERATED ALWAYS AS (nullif(lower(btrim(email)), '')) STORED, -- identity within the org
    phone             text,                                               -- as given
    phone_e164        text,                                               -- the same in international form, when it can be told
    job_title         text,                                               -- as given
    linkedin_url      text,                                               -- profile page
    company_id        uuid,                                               -- the employer, once resolved
    company_name      text,                                               -- the employer as captured
    state             varchar(10),                                        -- US state or region code
    country           char(2),                                            -- ISO 3166
    time_zone         text,                                               -- IANA name
    enrollment        int CHECK (enrollment >= 0),                        -- pupils of the school or district
    segment           text,                                               -- Enterprise, Mid-Market or SMB, computed
    message           text,                                               -- what the person wrote
    notes             text,                                               -- what the org wrote
    tags              text[] NOT NULL DEFAULT '{}',                       -- free labels
    -- where it came from
    capture_channel   text NOT NULL DEFAULT 'manual'                      -- how it arrived
                      CHECK (capture_channel IN ('website_form', 'facebook_lead_ad', 'google_lead_form', 'manual',
                                                 'import', 'api', 'automation', 'other')),
    source_category   text NOT NULL DEFAULT 'other'                       -- how it was won
                      CHECK (source_category IN ('website', 'referral', 'paid_ads', 'organic_search', 'social_media',
                                                 'cold_outreach', 'event', 'partner', 'other')),
    source_id         uuid,                                               -- the org's own name for that
    source_detail     text,                                               -- free addition to the source
    source_workflow   text,                                               -- the outside automation that sent it
    source_channel_id uuid,                                               -- the connected channel; NULL for manual and import
    source_campaign_id uuid,                                              -- the paid campaign, when one is known
    source_url        text,                                               -- landing page or advert
    utm_source        text,                                               -- first touch
    utm_medium        text,                                               -- first touch
    utm_campaign      text,                                               -- first touch
    utm_term          text,                                               -- first touch
    utm_content       text,                                               -- first touch
    gclid             text,                                               -- Google click
    fbclid            text,                                               -- Facebook click
    form_id           uuid,                                               -- the form, when it came by one
    form_submission_data jsonb,                                           -- what was posted, last submission
    -- where it stands
    status            text NOT NULL DEFAULT 'new'                         -- written by one command only
                      CHECK (status IN ('new', 'enriched', 'engaged', 'contacted', 'conversing', 'mql', 'sql',
                             'qualified', 'opportunity', 'proposal', 'negotiating', 'won', 'converted', 'lost',
                             'disqualified', 'recycled')),
    is_open           boolean GENERATED ALWAYS AS
                      (status NOT IN ('won', 'converted', 'lost', 'disqualified')) STORED, -- still worked on
    is_won            boolean GENERATED ALWAYS AS (status IN ('won', 'converted')) STORED, -- became a customer
    status_changed_at timestamptz NOT NULL DEFAULT now(),                 -- since when it has this status
    stage_id          uuid,                                               -- where it is in the pipeline
    stage_entered_at  timestamptz,                                        -- since when
    disqualification_reason text,                                         -- required to disqualify
    lost_reason       text,                                               -- why the deal was lost
    mql_at            timestamptz,                                        -- first met a marketing threshold
    sql_at            timestamptz,                                        -- first accepted by sales
    opportunity_at    timestamptz,                                        -- first became an opportunity
    opportunity_id    uuid,                                               -- the opportunity it became
    converted_to_customer boolean NOT NULL DEFAULT false,                 -- same as is_won, kept for readers
    customer_id       uuid,                                               -- the customer it became
    converted_at      timestamptz,                                        -- when it was won
    conversion_source text,                                               -- contact method that won it
    estimated_value_minor bigint CHECK (estimated_value_minor >= 0),      -- deal value in cents or pence
    currency          char(3),                                            -- of the deal value; NULL: that of the org
    budget            text,                                               -- in the lead's own words
    authority         text,                                               -- in the lead's own words
    need              text,                                               -- in the lead's own words
    timeline          text,                                               -- in the lead's own words
    next_follow_up_at timestamptz,                                        -- when the rep wants to come back to it
    -- who works on it, and when it was spoken to
    assigned_to_user_id uuid,                                             -- the rep
    assigned_at       timestamptz,                                        -- since when
    last_contacted_at timestamptz,                                        -- last outbound contact
    last_contact_method text CHECK (last_contact_method IN ('email', 'linkedin', 'call', 'meeting', 'sms', 'other')), -- of it
    contact_count     int NOT NULL DEFAULT 0 CHECK (contact_count >= 0),  -- outbound attempts, ever
    last_response_at  timestamptz,                                        -- last inbound contact
    response_count    int NOT NULL DEFAULT 0 CHECK (response_count >= 0), -- inbound contacts, ever
    -- latest score
    score_total       smallint CHECK (score_total BETWEEN 0 AND 100),     -- NULL: not scored yet
    score_band        text CHECK (score_band IN ('cold', 'warm', 'hot')), -- by the profile's thresholds
    score_version     text,                                               -- version of the profile that scored it
    score_hash        bytea,                                              -- of profile version and inputs: did anything change
    score_updated_at  timestamptz,                                        -- last calculation, changed or not
    -- nurture state, a projection
    nurture_status    text NOT NULL DEFAULT 'not_enrolled'                -- where it is in its sequence
                      CHECK (nurture_status IN ('not_enrolled', 'active', 'paused', 'completed', 'exited')),
    current_sequence_id uuid,                                             -- NULL unless enrolled
    next_nurture_step_at timestamptz,                                     -- when the next step is due
    -- enrichment and extension
    enrichment_status text NOT NULL DEFAULT 'none'                        -- how far enrichment has come
                      CHECK (enrichment_status IN ('none', 'queued', 'pending', 'done', 'not_found', 'failed', 'skipped')),
    enrichment_data   jsonb NOT NULL DEFAULT '{}'                         -- what providers said, merged
                      CHECK (jsonb_typeof(enrichment_data) = 'object'),
    enriched_at       timestamptz,                                        -- last match
    custom_fields     jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(custom_fields) = 'object'), -- the org's own fields
    -- bookkeeping
    email_status      text NOT NULL DEFAULT 'unknown'                     -- whether the address is worth writing to
                      CHECK (email_status IN ('unknown', 'valid', 'risky', 'invalid', 'bounced', 'complained', 'unsubscribed')),
    is_test           boolean NOT NULL DEFAULT false,                     -- left out of every figure
    last_activity_at  timestamptz,                                        -- kept by a trigger on activities
    version           int NOT NULL DEFAULT 1,                             -- grows with each edit (If-Match)
    deleted_at        timestamptz,                                        -- soft delete
    deleted_by_user_id uuid,                                              -- by whom
    created_at        timestamptz NOT NULL DEFAULT now(),                 -- when it was captured
    updated_at        timestamptz NOT NULL DEFAULT now(),                 -- kept by a trigger
    search            tsvector GENERATED ALWAYS AS (to_tsvector('simple'::regconfig,
                          coalesce(name, '') || ' ' || coalesce(first_name, '') || ' ' || coalesce(last_name, '') || ' ' ||
                          coalesce(email, '') || ' ' || coalesce(company_name, '') || ' ' || coalesce(job_title, ''))) STORED, -- full text
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, space_id) REFERENCES spaces (org_id, id),
    FOREIGN KEY (org_id, company_id) REFERENCES companies (org_id, id),
    FOREIGN KEY (org_id, source_id) REFERENCES lead_sources (org_id, id),
    FOREIGN KEY (org_id, source_channel_id) REFERENCES channels (org_id, id),
    FOREIGN KEY (org_id, form_id) REFERENCES forms (org_id, id),
    FOREIGN KEY (org_id, stage_id) REFERENCES pipeline_stages (org_id, id),
    FOREIGN KEY (org_id, assigned_to_user_id) REFERENCES memberships (org_id, user_id)
) WITH (fillfactor = 85);
COMMENT ON TABLE leads IS 'One person an org wants to win, however they were found.';

-- One lead per address and org; also what makes concurrent captures meet.
CREATE UNIQUE INDEX leads_org_email_uq ON leads (org_id, email_norm) WHERE email_norm IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX leads_phone_ix ON leads (org_id, phone_e164) WHERE phone_e164 IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX idx_leads_org_status ON leads (org_id, status, created_at DESC) WHERE deleted_at IS NULL;
CREATE INDEX idx_leads_source ON leads (org_id, capture_channel, source_campaign_id) WHERE deleted_at IS NULL;
CREATE INDEX idx_leads_score ON leads (org_id, score_total DESC NULLS LAST, status, last_activity_at DESC) WHERE deleted_at IS NULL;
CREATE INDEX idx_leads_nurture_next_step ON leads (org_id, nurture_status, next_nurture_step_at) WHERE nurture_status = 'active';
CREATE INDEX leads_source_idx ON leads (org_id, source_id) WHERE source_id IS NOT NULL;
CREATE INDEX leads_mql_date_idx ON leads (org_id, mql_at) WHERE mql_at IS NOT NULL;
CREATE INDEX leads_assigned_to_idx ON leads (org_id, assigned_to_user_id, status) WHERE deleted_at IS NULL;
CREATE INDEX leads_last_contacted_idx ON leads (org_id, last_contacted_at) WHERE deleted_at IS NULL;
CREATE INDEX leads_stage_ix ON leads (org_id, stage_id) WHERE deleted_at IS NULL;
CREATE INDEX leads_created_ix ON leads (org_id, created_at DESC, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX leads_follow_up_due_ix ON leads (org_id, next_follow_up_at) WHERE next_follow_up_at IS NOT NULL AND is_open AND deleted_at IS NULL;
CREATE INDEX leads_search_ix ON leads USING gin (search);
CREATE INDEX leads_company_ix ON leads (org_id, company_id) WHERE company_id IS NOT NULL;

CREATE TABLE lead_external_ids (
    org_id            uuid NOT NULL,                                      -- the org
    provider          text NOT NULL,                                      -- whose id it is
    external_id       text NOT NULL,                                      -- the lead's id there
    lead_id           uuid NOT NULL,                                      -- our lead
    created_at        timestamptz NOT NULL DEFAULT now(),                 -- when it was first seen
    PRIMARY KEY (org_id, provider, external_id),
    FOREIGN KEY (org_id, lead_id) REFERENCES leads (org_id, id) ON DELETE CASCADE
);
CREATE INDEX lead_external_ids_lead_ix ON lead_external_ids (org_id, lead_id);
COMMENT ON TABLE lead_external_ids IS 'What others call our leads; a provider''s lead is created once.';

-- Narrow and without further index, so that an open or a click never rewrites the wide row of the lead.
CREATE TABLE lead_behaviour (
    org_id            uuid NOT NULL,                                      -- the org
    lead_id           uuid NOT NULL,                                      -- the lead
    website_visits    int NOT NULL DEFAULT 0 CHECK (website_visits >= 0), -- page visits by a human
    content_downloads int NOT NULL DEFAULT 0 CHECK (content_downloads >= 0), -- downloads
    email_opens       int NOT NULL DEFAULT 0 CHECK (email_opens >= 0),    -- opens by a human
    email_clicks      int NOT NULL DEFAULT 0 CHECK (email_clicks >= 0),   -- clicks by a human
    demo_requested    boolean NOT NULL DEFAULT false,                     -- asked for a demonstration
    demo_requested_at timestamptz,                                        -- when
    bot_opens         int NOT NULL DEFAULT 0,                             -- opens by scanners; never scored
    bot_clicks        int NOT NULL DEFAULT 0,                             -- clicks by scanners; never scored
    last_visit_at     timestamptz,                                        -- latest visit
    last_open_at      timestamptz,                                        -- latest open
    last_click_at     timestamptz,                                        -- latest click
    updated_at        timestamptz NOT NULL DEFAULT now(),                 -- kept by a trigger
    PRIMARY KEY (org_id, lead_id),
    FOREIGN KEY (org_id, lead_id) REFERENCES leads (org_id, id) ON DELETE CASCADE
) WITH (fillfactor = 70);
COMMENT ON TABLE lead_behaviour IS 'What a lead did, counted.';

CREATE TABLE lead_status_history (
    id                uuid NOT NULL,                                      -- UUIDv7 from the application
    org_id            uuid NOT NULL,                                      -- the org
    lead_id           uuid NOT NULL,                                      -- the lead
    from_status       text,                                               -- NULL: created
    to_status         text NOT NULL,                                      -- the status it took
    trigger           text NOT NULL,                                      -- what moved it: created, manual, contact, …
    actor_user_id     uuid,                                               -- who; NULL: the system
    reason            text,                                               -- as given
    at                timestamptz NOT NULL,                               -- when
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, lead_id) REFERENCES leads (org_id, id) ON DELETE CASCADE
);
CREATE INDEX lead_status_history_ix ON lead_status_history (org_id, lead_id, at, id);
COMMENT ON TABLE lead_status_history IS 'Every status a lead has had.';

CREATE TABLE lead_stage_history (
    id                uuid NOT NULL,                                      -- UUIDv7 from the application
    org_id            uuid NOT NULL,                                      -- the org
    lead_id           uuid NOT NULL,                                      -- the lead
    from_stage_id     uuid,                                               -- NULL: first stage
    to_stage_id       uuid NOT NULL,                                      -- the stage entered
    actor_user_id     uuid,                                               -- who moved it; NULL: the system
    entered_at        timestamptz NOT NULL,                               -- when it came in
    left_at           timestamptz,                                        -- when it went on; NULL: still there
    sla_escalated_at  timestamptz,                                        -- when a too long stay was reported
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, lead_id) REFERENCES leads (org_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX lead_stage_open_uq ON lead_stage_history (org_id, lead_id) WHERE left_at IS NULL;
COMMENT ON TABLE lead_stage_history IS 'Every stay of a lead in a stage.';

CREATE TABLE activities (
    id                uuid NOT NULL,                                      -- UUIDv7 from the application
    org_id            uuid NOT NULL,                                      -- the org
    lead_id           uuid NOT NULL,                                      -- the lead
    user_id           uuid,                                               -- who did it; NULL: the system
    activity_type     text NOT NULL                                       -- what happened
                      CHECK (activity_type IN ('call', 'email', 'meeting', 'note', 'linkedin', 'sms', 'task',
                             'stage_change', 'status_change', 'assignment', 'enrichment', 'score_change', 'form_submit',
                             'email_sent', 'email_opened', 'email_clicked', 'email_bounced', 'email_replied',
                             'unsubscribed', 'nurture', 'workflow', 'import', 'merge', 'sla_breach', 'created',
                             'updated', 'other')),
    description       text NOT NULL DEFAULT '',                           -- one line for people
    activity_data     jsonb NOT NULL DEFAULT '{}',                        -- the same for programs
    dedupe_key        text,                                               -- the same event again has the same key
    occurred_at       timestamptz NOT NULL,                               -- when it happened
    created_at        timestamptz NOT NULL DEFAULT now(),                 -- when it was written down
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, lead_id) REFERENCES leads (org_id, id) ON DELETE CASCADE
);
CREATE INDEX activities_lead_ix ON activities (org_id, lead_id, occurred_at DESC, id DESC);
CREATE INDEX activities_org_ix ON activities (org_id, occurred_at DESC);
CREATE UNIQUE INDEX activities_dedupe_uq ON activities (org_id, dedupe_key) WHERE dedupe_key IS NOT NULL;
COMMENT ON TABLE activities IS 'The timeline of a lead.';

-- The lead remembers its latest activity, so that lists can sort by it.
CREATE FUNCTION touch_last_activity() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE leads SET last_activity_at = NEW.occurred_at
    WHERE org_id = NEW.org_id AND id = NEW.lead_id
      AND (last_activity_at IS NULL OR last_activity_at < NEW.occurred_at);
    RETURN NULL;
END $$;
CREATE TRIGGER activities_touch AFTER INSERT ON activities FOR EACH ROW EXECUTE FUNCTION touch_last_activity();

CREATE TABLE contact_attempts (
    id                uuid NOT NULL,                                      -- UUIDv7 from the application
    org_id            uuid NOT NULL,                                      -- the org
    lead_id           uuid NOT NULL,                                      -- the lead
    user_id           uuid,                                               -- the rep; NULL: the platform
    method            text NOT NULL CHECK (method IN ('email', 'linkedin', 'call', 'meeting', 'sms', 'other')), -- how
    direction         text NOT NULL DEFAULT 'outbound' CHECK (direction IN ('outbound', 'inbound')), -- who spoke
    subject           text,                                               -- of a mail
    message           text,                                               -- what was said
    notes             text,                                               -- what the rep noted
    successful        boolean,                                            -- reached; NULL: not known
    email_message_id  uuid,                                               -- the mail, when the platform sent it
    dedupe_key        text,                                               -- the same contact again has the same key
    created_at        timestamptz NOT NULL,                               -- when it happened
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, lead_id) REFERENCES leads (org_id, id) ON DELETE CASCADE
);
CREATE INDEX contact_attempts_ix ON contact_attempts (org_id, lead_id, created_at DESC);
CREATE UNIQUE INDEX contact_attempts_dedupe_uq ON contact_attempts (org_id, dedupe_key) WHERE dedupe_key IS NOT NULL;
COMMENT ON TABLE contact_attempts IS 'Every time a lead was spoken to or spoke; the counters on the lead follow it.';

CREATE TABLE assignment_pools (
    id                uuid NOT NULL,                                      -- UUIDv7 from the application
    org_id            uuid NOT NULL REFERENCES orgs (id),                 -- the org
    name              text NOT NULL DEFAULT 'default',                    -- as shown to people
    strategy          text NOT NULL DEFAULT 'round_robin' CHECK (strategy IN ('round_robin', 'least_loaded')), -- how to pick
    auto_on           text[] NOT NULL DEFAULT '{}',                       -- e.g. status:enriched
    cursor            bigint NOT NULL DEFAULT 0,                          -- whose turn it is
    is_default        boolean NOT NULL DEFAULT true,                      -- used when none is named
    created_at        timestamptz NOT NULL DEFAULT now(),                 -- when it was made
    updated_at        timestamptz NOT NULL DEFAULT now(),                 -- kept by a trigger
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, name)
);
CREATE UNIQUE INDEX assignment_pools_default_uq ON assignment_pools (org_id) WHERE is_default;
COMMENT ON TABLE assignment_pools IS 'Reps who take turns.';

CREATE TABLE assignment_pool_members (
    org_id            uuid NOT NULL,                                      -- the org
    pool_id           uuid NOT NULL,                                      -- the pool
    user_id           uuid NOT NULL,                                      -- the rep
    position          int NOT NULL,                                       -- order of turns
    capacity          int CHECK (capacity > 0),                           -- most open leads at a time; NULL: no limit
    PRIMARY KEY (org_id, pool_id, user_id),
    UNIQUE (org_id, pool_id, position),
    FOREIGN KEY (org_id, pool_id) REFERENCES assignment_pools (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, user_id) REFERENCES memberships (org_id, user_id) ON DELETE CASCADE
);
COMMENT ON TABLE assignment_pool_members IS 'Who is in a pool.';

CREATE TABLE lead_assignments (
    id                uuid NOT NULL,                                      -- UUIDv7 from the application
    org_id            uuid NOT NULL,                                      -- the org
    lead_id           uuid NOT NULL,                                      -- the lead
    from_user_id      uuid,                                               -- who had it
    to_user_id        uuid,                                               -- who has it now; NULL: nobody
    by_user_id        uuid,                                               -- who decided; NULL: the system
    method            text NOT NULL CHECK (method IN ('manual', 'auto', 'import', 'rule')), -- how it was decided
    pool_id           uuid,                                               -- the pool, when one decided
    at                timestamptz NOT NULL,                               -- when
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, lead_id) REFERENCES leads (org_id, id) ON DELETE CASCADE
);
CREATE INDEX lead_assignments_ix ON lead_assignments (org_id, lead_id, at);
COMMENT ON TABLE lead_assignments IS 'Who has worked on a lead.';
