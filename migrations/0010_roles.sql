-- The two roles business code works as. Neither can log in: a transaction of the owner steps into one with
-- SET LOCAL ROLE, so that row level security binds it. Roles belong to the cluster, not to the database: another
-- database of the same cluster may be making them at this very moment.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'leadmill_app') THEN
        CREATE ROLE leadmill_app NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'leadmill_platform') THEN
        CREATE ROLE leadmill_platform NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;

-- Grant only what is missing: two databases granting the same membership at once would trip over each other.
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['leadmill_app', 'leadmill_platform'] LOOP
        FOR attempt IN 1..20 LOOP
            EXIT WHEN EXISTS (
                SELECT FROM pg_auth_members m
                JOIN pg_roles granted ON granted.oid = m.roleid
                JOIN pg_roles member ON member.oid = m.member
                WHERE granted.rolname = wanted AND member.rolname = current_user
            );
            BEGIN
                EXECUTE format('GRANT %I TO CURRENT_USER', wanted);
            EXCEPTION WHEN unique_violation OR internal_error THEN
                NULL; -- another database granted it between our look and our grant
            END;
        END LOOP;
    END LOOP;
END $$;

-- Stamps the moment of the last change of a row.
CREATE FUNCTION set_updated_at() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN NEW.updated_at := now(); RETURN NEW; END $$;

-- Guards tables that only ever grow.
CREATE FUNCTION deny_mutation() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = '55000'; END $$;
