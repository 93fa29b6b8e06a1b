-- What an org has spent with a provider today is added up before each question that may cost it something.
CREATE INDEX enrichment_runs_spent_ix ON enrichment_runs (org_id, provider_key, finished_at) INCLUDE (credits)
    WHERE credits > 0;
COMMENT ON COLUMN enrichment_providers.daily_credit_cap IS
    'Credits of a day, by UTC, after which the provider is asked again on the next; counted from what its answers say they cost.';
