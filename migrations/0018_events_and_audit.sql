-- What happened, for programs and for auditors; written in the transaction of the change itself.

CREATE TABLE domain_events (
    id                uuid NOT NULL,                                      -- UUIDv7 from the application
    org_id            uuid NOT NULL,                                      -- the org
    type              text NOT NULL,                                      -- lead.created, lead.status_changed, …
    lead_id           uuid,                                               -- the lead, when it is about one
    payload           jsonb NOT NULL,                                     -- what a receiver needs
    occurred_at       timestamptz NOT NULL,                               -- when
    dispatched_at     timestamptz,                                        -- when it was handed on
    PRIMARY KEY (org_id, id)
);
CREATE INDEX domain_events_undispatched_ix ON domain_events (occurred_at) WHERE dispatched_at IS NULL;
COMMENT ON TABLE domain_events IS 'Outbox of everything others may want to hear of.';

CREATE TABLE audit_log (
    id                uuid NOT NULL,                                      -- UUIDv7 from the application
    org_id            uuid NOT NULL,                                      -- the org; nil: the platform itself
    at                timestamptz NOT NULL,                               -- when
    xact              xid8 NOT NULL DEFAULT pg_current_xact_id(),         -- the transaction that made the change
    actor_kind        text NOT NULL CHECK (actor_kind IN ('user', 'api_key', 'job', 'public', 'platform')), -- who, broadly
    actor_id          uuid,                                               -- which user or key
    job_id            text,                                               -- which job
    action            text NOT NULL,                                      -- lead.create, lead.transition, …
    entity_type       text NOT NULL,                                      -- lead, org, membership, …
    entity_id         uuid,                                               -- which
    before            jsonb,                                              -- what changed, as it was
    after             jsonb,                                              -- what changed, as it is
    request_id        text,                                               -- of the HTTP request
    ip                text,                                               -- of the HTTP request
    user_agent        text,                                               -- of the HTTP request
    PRIMARY KEY (org_id, id, at)
) PARTITION BY RANGE (at);
CREATE TABLE audit_log_default PARTITION OF audit_log DEFAULT;
CREATE INDEX audit_log_entity_ix ON audit_log (org_id, entity_type, entity_id, at DESC);
CREATE TRIGGER audit_log_immutable BEFORE UPDATE OR DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION deny_mutation();
COMMENT ON TABLE audit_log IS 'Who changed what; never changed.';
