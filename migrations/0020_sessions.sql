-- Who is signed in, and the links by which people sign in. Both are found by the hash of what the browser holds, so a
-- copy of these tables opens nothing. They belong to the platform: business code never reads them.

CREATE TABLE sessions (
    token_hash        bytea PRIMARY KEY,                                  -- sha256 of the 256 random bits in the cookie
    user_id           uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE, -- the person
    org_id            uuid NOT NULL REFERENCES orgs (id) ON DELETE CASCADE, -- the org they work in just now
    created_at        timestamptz NOT NULL,                               -- when they signed in
    last_used_at      timestamptz NOT NULL,                               -- roughly; written at most once a minute
    expires_at        timestamptz NOT NULL                                -- not valid from then on, however much used
);
CREATE INDEX sessions_user_ix ON sessions (user_id);
CREATE INDEX sessions_expiry_ix ON sessions (expires_at);
COMMENT ON TABLE sessions IS 'Browsers that are signed in.';

CREATE TABLE sign_in_links (
    token_hash        bytea PRIMARY KEY,                                  -- sha256 of the 256 random bits in the link
    user_id           uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE, -- whom it signs in
    created_at        timestamptz NOT NULL,                               -- when it was made
    expires_at        timestamptz NOT NULL,                               -- of no use from then on
    used_at           timestamptz                                         -- of no use since then
);
CREATE INDEX sign_in_links_expiry_ix ON sign_in_links (expires_at);
COMMENT ON TABLE sign_in_links IS 'Links that sign a person in, each once.';

ALTER TABLE sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE sessions FORCE ROW LEVEL SECURITY;
ALTER TABLE sign_in_links ENABLE ROW LEVEL SECURITY;
ALTER TABLE sign_in_links FORCE ROW LEVEL SECURITY;
CREATE POLICY platform_all ON sessions TO leadmill_platform USING (true) WITH CHECK (true);
CREATE POLICY platform_all ON sign_in_links TO leadmill_platform USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON sessions, sign_in_links TO leadmill_platform;
