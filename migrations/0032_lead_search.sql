-- The words a lead is found by stand beside it. On the lead itself they were computed again and put into their index with
-- every new score, though no word had changed; and row security kept the index from ever being used, since comparing
-- words is not known to keep secrets. Here they are looked up by a function that compares the org itself.

CREATE TABLE lead_search (
    org_id            uuid NOT NULL,                                      -- the org
    lead_id           uuid NOT NULL,                                      -- the lead
    words             tsvector NOT NULL,                                  -- name, address, company, title; and the org's id
    PRIMARY KEY (org_id, lead_id),
    FOREIGN KEY (org_id, lead_id) REFERENCES leads (org_id, id) ON DELETE CASCADE
);
COMMENT ON TABLE lead_search IS 'The words a lead is found by, kept by triggers on leads.';
-- The org's id is a word like others: so the index finds the words of one org without reading those of all.
CREATE INDEX lead_search_words_ix ON lead_search USING gin (words);

CREATE FUNCTION lead_words(leads) RETURNS tsvector LANGUAGE sql STABLE AS $$
    SELECT to_tsvector('simple', concat_ws(' ', $1.name, $1.first_name, $1.last_name, $1.email, $1.company_name, $1.job_title))
        || array_to_tsvector(ARRAY[$1.org_id::text])
$$;
COMMENT ON FUNCTION lead_words IS 'The words a lead is found by.';

CREATE FUNCTION keep_words_of_new_leads() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO lead_search (org_id, lead_id, words) SELECT org_id, id, lead_words(new_leads) FROM new_leads;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION keep_words_of_new_leads IS 'Keeps the words of leads that were just made, all of a statement at once.';
CREATE TRIGGER leads_words_new AFTER INSERT ON leads
    REFERENCING NEW TABLE AS new_leads FOR EACH STATEMENT EXECUTE FUNCTION keep_words_of_new_leads();

CREATE FUNCTION keep_words_of_lead() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE lead_search SET words = lead_words(NEW) WHERE org_id = NEW.org_id AND lead_id = NEW.id;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION keep_words_of_lead IS 'Keeps the words of a lead that was edited.';
CREATE TRIGGER leads_words AFTER UPDATE OF name, first_name, last_name, email, company_name, job_title ON leads
    FOR EACH ROW
    WHEN ((OLD.name, OLD.first_name, OLD.last_name, OLD.email, OLD.company_name, OLD.job_title)
        IS DISTINCT FROM (NEW.name, NEW.first_name, NEW.last_name, NEW.email, NEW.company_name, NEW.job_title))
    EXECUTE FUNCTION keep_words_of_lead();

-- Row security binds the owner too; it is lifted for this one reading and stands again before anybody sees it.
ALTER TABLE leads NO FORCE ROW LEVEL SECURITY;
INSERT INTO lead_search (org_id, lead_id, words) SELECT org_id, id, lead_words(leads) FROM leads;
ALTER TABLE leads FORCE ROW LEVEL SECURITY;
ALTER TABLE leads DROP COLUMN search;

ALTER TABLE lead_search ENABLE ROW LEVEL SECURITY;
ALTER TABLE lead_search FORCE ROW LEVEL SECURITY;
CREATE POLICY org_isolation ON lead_search TO leadmill_app
    USING (org_id = nullif(current_setting('app.org_id', true), '')::uuid)
    WITH CHECK (org_id = nullif(current_setting('app.org_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON lead_search TO leadmill_app;

-- The function below runs as the owner, which no policy binds here, so that the index serves it.
CREATE POLICY words_of_all ON lead_search FOR SELECT TO CURRENT_USER USING (true);
CREATE FUNCTION leads_with_words(looked_for text) RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT lead_id FROM lead_search
    -- What holds no word at all finds nobody.
    WHERE numnode(websearch_to_tsquery('simple', looked_for)) > 0
        AND org_id = nullif(current_setting('app.org_id', true), '')::uuid
        AND words @@ (websearch_to_tsquery('simple', looked_for)
            && quote_literal(nullif(current_setting('app.org_id', true), ''))::tsquery)
$$;
COMMENT ON FUNCTION leads_with_words IS 'The leads of app.org_id that have these words; none where no org is set.';
REVOKE ALL ON FUNCTION leads_with_words FROM PUBLIC;
GRANT EXECUTE ON FUNCTION leads_with_words TO leadmill_app;
