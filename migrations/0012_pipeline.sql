-- What an org sets up before leads arrive: sources, companies, pipelines with their stages, custom fields.

CREATE TABLE lead_sources (
    id                uuid NOT NULL,                                      -- UUIDv7 from the application
    org_id            uuid NOT NULL REFERENCES orgs (id),                 -- the org
    name              text NOT NULL,                                      -- as shown to people
    type              text NOT NULL DEFAULT 'website',                    -- website, linkedin, email, …
    category          text NOT NULL DEFAULT 'other'                       -- acquisition, the axis of reports
                      CHECK (category IN ('website', 'referral', 'paid_ads', 'organic_search', 'social_media',
                                          'cold_outreach', 'event', 'partner', 'other')),
    utm_source        text,                                               -- default for leads of this source
    utm_medium        text,                                               -- default for leads of this source
    utm_campaign      text,                                               -- default for leads of this source
    quality_points    int CHECK (quality_points BETWEEN 0 AND 20),        -- overrides the category's points in scoring
    is_active         boolean NOT NULL DEFAULT true,                      -- an inactive one is not offered
    created_by_user_id uuid,                                              -- who made it
    created_at        timestamptz NOT NULL DEFAULT now(),                 -- when it was made
    updated_at        timestamptz NOT NULL DEFAULT now(),                 -- kept by a trigger
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, name)
);
COMMENT ON TABLE lead_sources IS 'Where leads come from, as the org names it.';

CREATE TABLE companies (
    id                uuid NOT NULL,                                      -- UUIDv7 from the application
    org_id            uuid NOT NULL REFERENCES orgs (id),                 -- the org that knows the company
    space_id          uuid,                                               -- optional client workspace
    created_by_user_id uuid,                                              -- who made it; NULL: resolved from a lead
    name              text NOT NULL,                                      -- as first seen
    name_norm         text GENERATED ALWAYS AS (lower(btrim(name))) STORED, -- compared when there is no domain
    domain            text,                                               -- never one of a free mail provider
    website           text,                                               -- firmographic
    industry          text,                                               -- firmographic
    company_size      text,                                               -- as given, e.g. 51-200
    employees         int CHECK (employees >= 0),                         -- number for scoring
    company_data      jsonb NOT NULL DEFAULT '{}'                         -- what enrichment found
                      CHECK (jsonb_typeof(company_data) = 'object'),
    is_active         boolean NOT NULL DEFAULT true,                      -- an inactive one is not offered
    created_at        timestamptz NOT NULL DEFAULT now(),                 -- when it was first seen
    updated_at        timestamptz NOT NULL DEFAULT now(),                 -- kept by a trigger
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, space_id) REFERENCES spaces (org_id, id)
);
CREATE UNIQUE INDEX companies_domain_uq ON companies (org_id, lower(domain)) WHERE domain IS NOT NULL;
CREATE UNIQUE INDEX companies_name_uq ON companies (org_id, name_norm) WHERE domain IS NULL;
CREATE INDEX companies_name_ix ON companies (org_id, name_norm);
COMMENT ON TABLE companies IS 'Employers of leads; the home of website, industry and size.';

CREATE TABLE pipelines (
    id                uuid NOT NULL,                                      -- UUIDv7 from the application
    org_id            uuid NOT NULL REFERENCES orgs (id),                 -- the org
    name              text NOT NULL,                                      -- as shown to people
    is_default        boolean NOT NULL DEFAULT false,                     -- where new leads go
    created_at        timestamptz NOT NULL DEFAULT now(),                 -- when it was made
    updated_at        timestamptz NOT NULL DEFAULT now(),                 -- kept by a trigger
    PRIMARY KEY (org_id, id)
);
CREATE UNIQUE INDEX pipelines_default_uq ON pipelines (org_id) WHERE is_default;
COMMENT ON TABLE pipelines IS 'A row of stages a deal walks through.';

CREATE TABLE pipeline_stages (
    id                uuid NOT NULL,                                      -- UUIDv7 from the application
    org_id            uuid NOT NULL,                                      -- the org
    pipeline_id       uuid NOT NULL,                                      -- the pipeline
    name              text NOT NULL,                                      -- as shown to people
    stage_order       int NOT NULL,                                       -- position, from 1
    probability       numeric(5, 2) NOT NULL DEFAULT 0                    -- chance to win in percent
                      CHECK (probability BETWEEN 0 AND 100),
    colour            text NOT NULL DEFAULT '#64748b'                     -- hex, for the console
                      CHECK (colour ~ '^#[0-9A-Fa-f]{6}$'),
    auto_nurture      boolean NOT NULL DEFAULT false,                     -- entering it writes to the rep
    nurture_template_key text NOT NULL DEFAULT 'lead_nurture_follow_up',  -- which mail the rep gets then
    sla_days          int CHECK (sla_days > 0),                           -- days before a stay is escalated
    status_on_enter   text                                                -- status a lead takes on entry, if any
                      CHECK (status_on_enter IN ('new', 'enriched', 'engaged', 'contacted', 'conversing', 'mql', 'sql',
                             'qualified', 'opportunity', 'proposal', 'negotiating', 'won', 'converted', 'lost',
                             'disqualified', 'recycled')),
    is_default        boolean NOT NULL DEFAULT false,                     -- where new leads of the pipeline start
    archived_at       timestamptz,                                        -- set: no longer offered
    created_at        timestamptz NOT NULL DEFAULT now(),                 -- when it was made
    updated_at        timestamptz NOT NULL DEFAULT now(),                 -- kept by a trigger
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, pipeline_id, stage_order) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (org_id, pipeline_id) REFERENCES pipelines (org_id, id)
);
CREATE UNIQUE INDEX pipeline_stages_default_uq ON pipeline_stages (org_id, pipeline_id) WHERE is_default;
COMMENT ON TABLE pipeline_stages IS 'One step of a pipeline.';

CREATE TABLE custom_field_defs (
    id                uuid NOT NULL,                                      -- UUIDv7 from the application
    org_id            uuid NOT NULL REFERENCES orgs (id),                 -- the org
    entity            text NOT NULL DEFAULT 'lead' CHECK (entity IN ('lead', 'company')), -- what it extends
    field_name        text NOT NULL CHECK (field_name ~ '^[a-z][a-z0-9_]{0,62}$'), -- key in custom_fields
    field_label       text NOT NULL,                                      -- as shown to people
    field_type        text NOT NULL                                       -- what values must look like
                      CHECK (field_type IN ('text', 'number', 'date', 'datetime', 'boolean', 'select', 'multiselect',
                                            'url', 'email', 'phone')),
    is_required       boolean NOT NULL DEFAULT false,                     -- must be filled when a person creates the record
    options           jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(options) = 'array'), -- choices of select kinds
    created_at        timestamptz NOT NULL DEFAULT now(),                 -- when it was made
    updated_at        timestamptz NOT NULL DEFAULT now(),                 -- kept by a trigger
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, entity, field_name)
);
COMMENT ON TABLE custom_field_defs IS 'Fields an org adds to its records.';
