-- How leads come in: channels, forms with their public tokens, and the inbox that is committed before any answer.

CREATE TABLE channels (
    id                uuid NOT NULL,                                      -- UUIDv7 from the application
    org_id            uuid NOT NULL REFERENCES orgs (id),                 -- the org
    kind              text NOT NULL                                       -- what is connected
                      CHECK (kind IN ('facebook_page', 'google_ads', 'website', 'webhook', 'n8n', 'inbox')),
    external_id       text,                                               -- page id, customer id, host of the site
    name              text NOT NULL,                                      -- as shown to people
    field_map         jsonb NOT NULL DEFAULT '{}',                        -- their field → ours or custom_fields.x
    defaults          jsonb NOT NULL DEFAULT '{}',                        -- source category, stage, tags of its leads
    allowed_origins   text[] NOT NULL DEFAULT '{}',                       -- origins a browser may post from; empty: any
    on_duplicate      text NOT NULL DEFAULT 'merge'                       -- what a known address means
                      CHECK (on_duplicate IN ('merge', 'overwrite', 'ignore')),
    is_active         boolean NOT NULL DEFAULT true,                      -- an inactive one takes nothing
    last_received_at  timestamptz,                                        -- when something last came in
    created_at        timestamptz NOT NULL DEFAULT now(),                 -- when it was connected
    updated_at        timestamptz NOT NULL DEFAULT now(),                 -- kept by a trigger
    PRIMARY KEY (org_id, id)
);
CREATE INDEX channels_route_ix ON channels (kind, external_id) WHERE is_active;
COMMENT ON TABLE channels IS 'One connected page, ad account, site or webhook.';

CREATE TABLE forms (
    id                uuid NOT NULL,                                      -- UUIDv7 from the application
    org_id            uuid NOT NULL REFERENCES orgs (id),                 -- the org
    space_id          uuid,                                               -- client workspace its leads go to
    channel_id        uuid,                                               -- the site it stands on
    created_by_user_id uuid,                                              -- who made it
    name              text NOT NULL,                                      -- for the org's own lists
    title             text,                                               -- heading shown to visitors
    description       text,                                               -- text shown to visitors
    ai_personalization_enabled boolean NOT NULL DEFAULT false,            -- a flag templates can read
    form_settings     jsonb NOT NULL DEFAULT '{}'                         -- redirect_url, honeypot, allowed_origins, theme, defaults
                      CHECK (jsonb_typeof(form_settings) = 'object'),
    status            text NOT NULL DEFAULT 'published'                   -- only a published form takes posts
                      CHECK (status IN ('draft', 'published', 'archived')),
    created_at        timestamptz NOT NULL DEFAULT now(),                 -- when it was made
    updated_at        timestamptz NOT NULL DEFAULT now(),                 -- kept by a trigger
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, space_id) REFERENCES spaces (org_id, id),
    FOREIGN KEY (org_id, channel_id) REFERENCES channels (org_id, id)
);
COMMENT ON TABLE forms IS 'A form on a website.';

CREATE TABLE form_fields (
    id                uuid NOT NULL,                                      -- UUIDv7 from the application
    org_id            uuid NOT NULL,                                      -- the org
    form_id           uuid NOT NULL,                                      -- the form
    field_key         text NOT NULL,                                      -- name in the posted body
    field_type        text NOT NULL                                       -- what is asked
                      CHECK (field_type IN ('text', 'textarea', 'email', 'phone', 'number', 'date', 'url', 'select',
                                            'multiselect', 'radio', 'checkbox', 'boolean', 'hidden', 'consent')),
    label             text NOT NULL,                                      -- as shown to visitors
    placeholder       text,                                               -- hint inside the empty field
    is_required       boolean NOT NULL DEFAULT false,                     -- must be filled
    field_order       int NOT NULL,                                       -- position, from 1
    options           jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(options) = 'array'), -- choices
    validation_rules  jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(validation_rules) = 'object'), -- min, max, pattern, …
    maps_to           text,                                               -- lead field or custom_fields.x; NULL: kept raw
    created_at        timestamptz NOT NULL DEFAULT now(),                 -- when it was made
    updated_at        timestamptz NOT NULL DEFAULT now(),                 -- kept by a trigger
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, form_id, field_key),
    UNIQUE (org_id, form_id, field_order) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (org_id, form_id) REFERENCES forms (org_id, id) ON DELETE CASCADE
);
COMMENT ON TABLE form_fields IS 'One question of a form.';

CREATE TABLE form_tokens (
    token             text PRIMARY KEY,                                   -- what stands in the form's address
    org_id            uuid NOT NULL REFERENCES orgs (id),                 -- where a post goes
    form_id           uuid NOT NULL,                                      -- which form it is (no foreign key: routing table)
    created_at        timestamptz NOT NULL DEFAULT now(),                 -- when it was handed out
    revoked_at        timestamptz                                         -- set: the address is dead
);
CREATE INDEX form_tokens_form_ix ON form_tokens (org_id, form_id);
COMMENT ON TABLE form_tokens IS 'Public address of a form; routing table, found by the token alone.';

CREATE TABLE intake_events (
    id                uuid NOT NULL,                                      -- UUIDv7; the submission id a caller is told
    org_id            uuid NOT NULL,                                      -- the org it was routed to
    channel_id        uuid,                                               -- the channel, when it came by one
    form_id           uuid,                                               -- the form, when it came by one
    provider          text NOT NULL,                                      -- trpc, form, rest, meta, google_ads, …
    dedupe_key        text NOT NULL,                                      -- the same submission again has the same key
    is_test           boolean NOT NULL DEFAULT false,                     -- a test click of a provider
    content_type      text,                                               -- of the body
    headers           jsonb NOT NULL DEFAULT '{}',                        -- those worth keeping, secrets removed
    body              bytea NOT NULL,                                     -- exactly as received
    submission        jsonb NOT NULL DEFAULT '{}',                        -- what was understood of the body, in our words
    remote_ip         text,                                               -- whose request it was
    state             text NOT NULL DEFAULT 'received'                    -- what became of it
                      CHECK (state IN ('received', 'processed', 'duplicate', 'ignored', 'spam', 'failed', 'quarantined')),
    attempts          int NOT NULL DEFAULT 0,                             -- times it was processed
    error             text,                                               -- why it failed or waits for a person
    lead_id           uuid,                                               -- the lead it became or joined
    received_at       timestamptz NOT NULL DEFAULT now(),                 -- when it was committed
    processed_at      timestamptz,                                        -- when its fate was settled
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, provider, dedupe_key)
);
CREATE INDEX intake_events_pending_ix ON intake_events (received_at) WHERE state IN ('received', 'failed');
COMMENT ON TABLE intake_events IS 'Everything that came in, before anything is made of it.';
