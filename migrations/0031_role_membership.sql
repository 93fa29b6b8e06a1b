-- Since PostgreSQL 16 a membership may come without the right to step into the role, and who makes a role gets such a
-- one. What 0010 took for enough there is completed here. As there, only what is missing is granted: another database of
-- the same cluster may be granting the same at this very moment.
DO $$
DECLARE
    wanted text;
    manner text := CASE
        WHEN current_setting('server_version_num')::int >= 160000 THEN ' WITH SET TRUE'
        ELSE ''
    END;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['leadmill_app', 'leadmill_platform'] LOOP
        FOR attempt IN 1..20 LOOP
            EXIT WHEN EXISTS (
                SELECT FROM pg_auth_members m
                JOIN pg_roles granted ON granted.oid = m.roleid
                JOIN pg_roles member ON member.oid = m.member
                WHERE granted.rolname = wanted AND member.rolname = current_user
                    -- Older servers do not have the column: every membership is enough there.
                    AND to_jsonb(m) ->> 'set_option' IS DISTINCT FROM 'false'
            );
            BEGIN
                EXECUTE format('GRANT %I TO CURRENT_USER', wanted) || manner;
            EXCEPTION WHEN unique_violation OR internal_error THEN
                NULL; -- another database granted it between our look and our grant
            END;
        END LOOP;
    END LOOP;
END $$;
