-- One spelling of an address, the program's: what addresses are compared by is computed where it is looked up, and stored
-- plainly. The database's lower() answers by the locale of the cluster, and under C it leaves every letter beyond ASCII
-- as it is.

ALTER TABLE leads ALTER COLUMN email_norm DROP EXPRESSION;
ALTER TABLE users ALTER COLUMN email_norm DROP EXPRESSION;

-- What was stored before is spelled anew as far as SQL can; letters of ASCII are spelled alike by both. Row level security
-- binds the owner too, so it is lifted for these statements and stands again before anybody sees them.
ALTER TABLE leads NO FORCE ROW LEVEL SECURITY;
ALTER TABLE users NO FORCE ROW LEVEL SECURITY;
ALTER TABLE suppressions NO FORCE ROW LEVEL SECURITY;
ALTER TABLE email_messages NO FORCE ROW LEVEL SECURITY;

DO $$
DECLARE
    -- A collation that knows letters beyond ASCII, if this server has one; else that of the database.
    letters text := coalesce(
        (SELECT collname FROM pg_collation
            WHERE collname IN ('und-x-icu', 'pg_c_utf8') AND collencoding IN (-1, pg_char_to_encoding(getdatabaseencoding()))
            ORDER BY collname DESC LIMIT 1),
        'default');
    spelled text := format('nullif(replace(lower(btrim(%%s) COLLATE %I), %L, %L), %L)', letters, 'ς', 'σ', '');
    of_email text := format(spelled, 'email');
    of_norm text := format(spelled, 'email_norm');
BEGIN
    -- Where two leads have been one person all along, the one that has the key already keeps it, else the first gets it,
    -- deleted ones aside; the other keeps the key it had until somebody edits its address.
    EXECUTE format($q$
        WITH spelled AS (
            SELECT org_id, id, %1$s AS norm, deleted_at IS NOT NULL AS gone,
                row_number() OVER (PARTITION BY org_id, %1$s, deleted_at IS NOT NULL ORDER BY created_at, id) AS nth
            FROM leads WHERE email ~ '[^\x01-\x7f]'
        )
        UPDATE leads lead SET email_norm = spelled.norm
        FROM spelled
        WHERE lead.org_id = spelled.org_id AND lead.id = spelled.id AND lead.email_norm IS DISTINCT FROM spelled.norm
            AND (spelled.gone OR spelled.nth = 1 AND NOT EXISTS (
                SELECT FROM leads other WHERE other.org_id = lead.org_id AND other.id <> lead.id
                    AND other.email_norm = spelled.norm AND other.deleted_at IS NULL))
        $q$, of_email);
    EXECUTE format($q$
        WITH spelled AS (
            SELECT id, %1$s AS norm, row_number() OVER (PARTITION BY %1$s ORDER BY created_at, id) AS nth
            FROM users WHERE email ~ '[^\x01-\x7f]'
        )
        UPDATE users account SET email_norm = spelled.norm
        FROM spelled
        WHERE account.id = spelled.id AND account.email_norm IS DISTINCT FROM spelled.norm AND spelled.nth = 1
            AND NOT EXISTS (SELECT FROM users other WHERE other.id <> account.id AND other.email_norm = spelled.norm)
        $q$, of_email);
    -- Of two suppressions of one address the longer stands.
    EXECUTE format($q$
        WITH gone AS (
            DELETE FROM suppressions WHERE email_norm ~ '[^\x01-\x7f]' AND email_norm <> %1$s RETURNING *
        )
        INSERT INTO suppressions AS known (org_id, email_norm, stream, reason, source, message_id, created_at, expires_at)
        SELECT DISTINCT ON (org_id, %1$s, stream) org_id, %1$s, stream, reason, source, message_id, created_at, expires_at
        FROM gone ORDER BY org_id, %1$s, stream, expires_at DESC NULLS FIRST
        ON CONFLICT (org_id, email_norm, stream) DO UPDATE SET expires_at = CASE
            WHEN known.expires_at IS NOT NULL AND excluded.expires_at IS NOT NULL
            THEN greatest(known.expires_at, excluded.expires_at) END
        $q$, of_norm);
    EXECUTE format($q$
        UPDATE email_messages SET to_norm = %1$s WHERE to_norm ~ '[^\x01-\x7f]' AND to_norm <> %1$s
        $q$, format(spelled, 'to_email'));
END $$;

ALTER TABLE leads FORCE ROW LEVEL SECURITY;
ALTER TABLE users FORCE ROW LEVEL SECURITY;
ALTER TABLE suppressions FORCE ROW LEVEL SECURITY;
ALTER TABLE email_messages FORCE ROW LEVEL SECURITY;

-- A program that does not know of this yet is refused rather than let in without a key.
ALTER TABLE leads ADD CONSTRAINT email_has_its_key
    CHECK (email_norm IS NOT NULL OR nullif(btrim(email), '') IS NULL);
ALTER TABLE users ALTER COLUMN email_norm SET NOT NULL;

COMMENT ON COLUMN leads.email_norm IS 'The address as it is compared, spelled by the program; identity within the org.';
COMMENT ON COLUMN users.email_norm IS 'The address as sign-in compares it, spelled by the program.';

-- Whoever objects to being looked up is never asked about again.
ALTER TABLE enrichment_cache DROP CONSTRAINT enrichment_cache_outcome_check;
ALTER TABLE enrichment_cache ADD CONSTRAINT enrichment_cache_outcome_check
    CHECK (outcome IN ('matched', 'not_found', 'blocked'));
CREATE INDEX enrichment_runs_objected_ix ON enrichment_runs (org_id, lead_id) WHERE outcome = 'blocked';

-- A mail of which nothing was heard for a day is taken for sent.
ALTER TABLE email_messages DROP CONSTRAINT email_messages_state_check;
ALTER TABLE email_messages ADD CONSTRAINT email_messages_state_check
    CHECK (state IN ('queued', 'deferred', 'sending', 'handoff', 'sent', 'failed', 'suppressed', 'expired', 'cancelled',
                     'unknown', 'assumed_sent'));

-- What may be forgotten is found without reading what may not.
CREATE INDEX idempotency_keys_expired_ix ON idempotency_keys (org_id, expires_at);
CREATE INDEX enrichment_cache_expired_ix ON enrichment_cache (org_id, expires_at);
