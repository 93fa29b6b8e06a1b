-- The database keeps the orgs apart, whatever a query forgets.
-- leadmill_app sees and writes the rows of app.org_id and nothing else. leadmill_platform routes requests and starts
-- the work of all orgs: it sees the routing tables and nothing of the business. Both settings are made with SET LOCAL,
-- so they end with the transaction. Policies compare with plain settings: they stay cheap, and hold on a distributed Postgres.

DO $$
DECLARE
    t text;
BEGIN
    -- Partitions too: with row security and no policy of their own they cannot be read past their parent.
    FOR t IN
        SELECT c.relname FROM pg_class c
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'org_id' AND NOT a.attisdropped
        WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    END LOOP;

    FOR t IN
        SELECT c.relname FROM pg_class c
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'org_id' AND NOT a.attisdropped
        WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace
    LOOP
        EXECUTE format($p$CREATE POLICY org_isolation ON %I TO leadmill_app
            USING (org_id = nullif(current_setting('app.org_id', true), '')::uuid)
            WITH CHECK (org_id = nullif(current_setting('app.org_id', true), '')::uuid)$p$, t);
        IF t IN ('lead_scores', 'audit_log') THEN
            EXECUTE format('GRANT SELECT, INSERT ON %I TO leadmill_app', t);
        ELSE
            EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO leadmill_app', t);
        END IF;
    END LOOP;
END $$;

-- An org sees itself and may change itself; only the platform makes one.
ALTER TABLE orgs ENABLE ROW LEVEL SECURITY;
ALTER TABLE orgs FORCE ROW LEVEL SECURITY;
CREATE POLICY org_self ON orgs TO leadmill_app
    USING (id = nullif(current_setting('app.org_id', true), '')::uuid)
    WITH CHECK (id = nullif(current_setting('app.org_id', true), '')::uuid);
GRANT SELECT, UPDATE ON orgs TO leadmill_app;

-- Accounts are the platform's: sign-in reads them, business code does not.
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
ALTER TABLE users FORCE ROW LEVEL SECURITY;

-- A member who may see only their own leads, or those of their spaces: the session says so, admins' sessions do not.
CREATE POLICY lead_visibility ON leads AS RESTRICTIVE TO leadmill_app
    USING (
        coalesce(current_setting('app.visibility', true), '') IN ('', 'org')
        OR assigned_to_user_id = nullif(current_setting('app.user_id', true), '')::uuid
        OR created_by_user_id = nullif(current_setting('app.user_id', true), '')::uuid
        OR (current_setting('app.visibility', true) = 'space'
            AND space_id = ANY (coalesce(nullif(current_setting('app.space_ids', true), ''), '{}')::uuid[])))
    WITH CHECK (true);

-- What the platform role sees of all orgs: how a request, a sign-in or a schedule finds its org.
CREATE POLICY platform_all ON orgs TO leadmill_platform USING (true) WITH CHECK (true);
CREATE POLICY platform_all ON users TO leadmill_platform USING (true) WITH CHECK (true);
CREATE POLICY platform_read ON memberships FOR SELECT TO leadmill_platform USING (true);
CREATE POLICY platform_read ON space_members FOR SELECT TO leadmill_platform USING (true);
CREATE POLICY platform_read ON api_keys FOR SELECT TO leadmill_platform USING (true);
CREATE POLICY platform_read ON form_tokens FOR SELECT TO leadmill_platform USING (true);
GRANT SELECT, INSERT, UPDATE ON orgs, users TO leadmill_platform;
GRANT SELECT ON memberships, space_members, api_keys, form_tokens TO leadmill_platform;
-- The platform's own deeds are audited under the nil org.
CREATE POLICY platform_audit ON audit_log TO leadmill_platform
    USING (org_id = '00000000-0000-0000-0000-000000000000'::uuid)
    WITH CHECK (org_id = '00000000-0000-0000-0000-000000000000'::uuid);
GRANT SELECT, INSERT ON audit_log TO leadmill_platform;

-- Both roles hand work to the queue inside a business transaction.
GRANT USAGE ON SCHEMA queue TO leadmill_app, leadmill_platform;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA queue TO leadmill_app, leadmill_platform;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA queue TO leadmill_app, leadmill_platform;

-- updated_at wherever there is one. Being scored is no edit: the nightly run leaves updated_at of leads alone.
DO $$
DECLARE
    t text;
BEGIN
    FOR t IN
        SELECT c.relname FROM pg_class c
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'updated_at' AND NOT a.attisdropped
        WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
    LOOP
        EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE ON %I FOR EACH ROW %s EXECUTE FUNCTION set_updated_at()',
            t || '_updated', t,
            CASE t WHEN 'leads' THEN 'WHEN (NEW.score_updated_at IS NOT DISTINCT FROM OLD.score_updated_at)' ELSE '' END);
    END LOOP;
END $$;
