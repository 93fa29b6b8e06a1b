-- Who the customers are, who works for them, and how a request finds its org.
-- Every row of the business carries org_id and its keys start with it; orgs, users, api_keys and form_tokens are
-- routing tables: small, unique over all orgs, and without foreign keys into org tables.

CREATE TABLE orgs (
    id                uuid PRIMARY KEY,                                   -- UUIDv7 from the application
    slug              text NOT NULL UNIQUE                                -- short name in addresses
                      CHECK (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    name              text NOT NULL,                                      -- as shown to people
    status            text NOT NULL DEFAULT 'active'                      -- only an active org takes leads
                      CHECK (status IN ('active', 'suspended', 'deleted')),
    time_zone         text NOT NULL DEFAULT 'UTC',                        -- IANA name
    currency          char(3) NOT NULL DEFAULT 'USD',                     -- ISO 4217, of deal values without their own
    lifecycle_profile text NOT NULL DEFAULT 'unified'                     -- which statuses and automatic moves apply
                      CHECK (lifecycle_profile IN ('unified', 'agency', 'k12', 'outreach', 'pipeline')),
    lead_visibility   text NOT NULL DEFAULT 'org'                         -- what a plain member sees
                      CHECK (lead_visibility IN ('org', 'space', 'own')),
    postal_address    text,                                               -- footer of marketing mail
    settings          jsonb NOT NULL DEFAULT '{}'                         -- optional switches, e.g. auto_enrich
                      CHECK (jsonb_typeof(settings) = 'object'),
    created_at        timestamptz NOT NULL DEFAULT now(),                 -- when the org was made
    updated_at        timestamptz NOT NULL DEFAULT now()                  -- kept by a trigger
);
COMMENT ON TABLE orgs IS 'A customer of the platform; everything else belongs to one.';

CREATE TABLE users (
    id                uuid PRIMARY KEY,                                   -- UUIDv7 from the application
    email             text NOT NULL,                                      -- as typed
    email_norm        text GENERATED ALWAYS AS (lower(btrim(email))) STORED UNIQUE, -- what sign-in compares
    name              text NOT NULL,                                      -- as shown to people
    password_hash     text,                                               -- argon2 PHC string; NULL: sign-in by link only
    time_zone         text,                                               -- IANA name; NULL: that of the org
    is_platform_admin boolean NOT NULL DEFAULT false,                     -- staff of the platform's operator
    disabled_at       timestamptz,                                        -- set: no sign-in
    created_at        timestamptz NOT NULL DEFAULT now(),                 -- when the account was made
    updated_at        timestamptz NOT NULL DEFAULT now()                  -- kept by a trigger
);
COMMENT ON TABLE users IS 'People who sign in. Business code never reads it: what an org may know of its people is in memberships.';

CREATE TABLE memberships (
    org_id            uuid NOT NULL REFERENCES orgs (id),                 -- the org
    user_id           uuid NOT NULL REFERENCES users (id),                -- the person
    role              text NOT NULL CHECK (role IN ('owner', 'admin', 'member', 'viewer')), -- what they may do here
    name              text NOT NULL,                                      -- the person's name as this org sees it
    email             text NOT NULL,                                      -- where this org writes to the person
    notify            jsonb NOT NULL DEFAULT '{"email": true, "in_app": true}' -- ways to be told
                      CHECK (jsonb_typeof(notify) = 'object'),
    ooo_until         timestamptz,                                        -- out of office: no automatic assignment before
    created_at        timestamptz NOT NULL DEFAULT now(),                 -- when the person joined
    updated_at        timestamptz NOT NULL DEFAULT now(),                 -- kept by a trigger
    PRIMARY KEY (org_id, user_id)
);
CREATE INDEX memberships_user_ix ON memberships (user_id);
COMMENT ON TABLE memberships IS 'Who works in which org, and as what.';

CREATE TABLE spaces (
    id                uuid NOT NULL,                                      -- UUIDv7 from the application
    org_id            uuid NOT NULL REFERENCES orgs (id),                 -- the org
    name              text NOT NULL,                                      -- as shown to people
    is_active         boolean NOT NULL DEFAULT true,                      -- an inactive one takes no new records
    created_at        timestamptz NOT NULL DEFAULT now(),                 -- when it was made
    updated_at        timestamptz NOT NULL DEFAULT now(),                 -- kept by a trigger
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, name)
);
COMMENT ON TABLE spaces IS 'A client workspace inside an org.';

CREATE TABLE space_members (
    org_id            uuid NOT NULL,                                      -- the org
    space_id          uuid NOT NULL,                                      -- the space
    user_id           uuid NOT NULL,                                      -- the member who sees it
    PRIMARY KEY (org_id, space_id, user_id),
    FOREIGN KEY (org_id, space_id) REFERENCES spaces (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, user_id) REFERENCES memberships (org_id, user_id) ON DELETE CASCADE
);
COMMENT ON TABLE space_members IS 'Which members see which space.';

CREATE TABLE api_keys (
    id                uuid NOT NULL,                                      -- UUIDv7 from the application
    org_id            uuid NOT NULL REFERENCES orgs (id),                 -- the org the key opens
    name              text NOT NULL,                                      -- what its owner calls it
    prefix            text NOT NULL,                                      -- first letters, to recognise it in a list
    secret_hash       bytea NOT NULL UNIQUE,                              -- sha256 of a 256-bit random secret
    scopes            text[] NOT NULL DEFAULT '{leads:read,leads:write}', -- what it may do
    acts_as_user_id   uuid REFERENCES users (id),                         -- whose work it does; NULL: nobody's
    last_used_at      timestamptz,                                        -- roughly; written at most once a minute
    expires_at        timestamptz,                                        -- refused from then on
    revoked_at        timestamptz,                                        -- refused since then
    created_at        timestamptz NOT NULL DEFAULT now(),                 -- when it was made
    PRIMARY KEY (org_id, id)
);
COMMENT ON TABLE api_keys IS 'Keys of programs; routing table, found by the hash of the secret.';

CREATE TABLE idempotency_keys (
    org_id            uuid NOT NULL,                                      -- the org
    scope             text NOT NULL,                                      -- which operation, e.g. POST /api/v1/leads
    key               text NOT NULL,                                      -- as sent by the caller
    request_hash      bytea NOT NULL,                                     -- the same key with another body is an error
    status            int,                                                -- HTTP status answered; NULL: still at work
    response          jsonb,                                              -- the body answered
    created_at        timestamptz NOT NULL DEFAULT now(),                 -- first seen
    expires_at        timestamptz NOT NULL,                               -- may be forgotten from then on
    PRIMARY KEY (org_id, scope, key)
);
COMMENT ON TABLE idempotency_keys IS 'What was answered to a request that may be sent again.';
