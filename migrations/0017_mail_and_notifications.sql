-- Telling people: the mail ledger, addresses not to write to, in-app notifications.

CREATE TABLE email_messages (
    id                uuid NOT NULL,                                      -- UUIDv7 from the application
    org_id            uuid NOT NULL,                                      -- the org
    dedupe_key        text NOT NULL,                                      -- the same message again has the same key
    stream            text NOT NULL CHECK (stream IN ('marketing', 'transactional')), -- which rules apply
    lead_id           uuid,                                               -- the lead it is about or goes to
    user_id           uuid,                                               -- the rep it goes to
    to_email          text NOT NULL,                                      -- address as known
    to_norm           text NOT NULL,                                      -- address as compared with suppressions
    to_domain         text NOT NULL,                                      -- for throttling
    template_key      text NOT NULL,                                      -- which message
    template_version  int NOT NULL DEFAULT 1,                             -- which version of it
    context           jsonb NOT NULL DEFAULT '{}',                        -- what the template is filled with
    rfc_message_id    text NOT NULL,                                      -- Message-ID, the same on every attempt
    in_reply_to       text,                                               -- Message-ID answered
    thread_refs       text[],                                             -- References header
    state             text NOT NULL DEFAULT 'queued'                      -- see the ledger's protocol
                      CHECK (state IN ('queued', 'deferred', 'sending', 'handoff', 'sent', 'failed', 'suppressed',
                                       'expired', 'cancelled', 'unknown')),
    attempts          int NOT NULL DEFAULT 0,                             -- claims so far
    attempt_token     uuid,                                               -- whose attempt it is: only its holder may move it
    claimed_at        timestamptz,                                        -- when the attempt began
    handoff_at        timestamptz,                                        -- when the server was about to get the body
    not_before        timestamptz NOT NULL,                               -- due from then on
    expires_at        timestamptz,                                        -- worthless from then on
    smtp_code         int,                                                -- the server's last reply code
    smtp_reply        text,                                               -- its text
    provider_message_id text,                                             -- the server's own id
    sent_at           timestamptz,                                        -- when the server accepted it
    last_error        text,                                               -- why the last attempt failed
    delivered_at      timestamptz,                                        -- reported by the provider
    first_open_at     timestamptz,                                        -- reported by tracking
    first_click_at    timestamptz,                                        -- reported by tracking
    bounced_at        timestamptz,                                        -- reported by a bounce
    bounce_class      text,                                               -- hard, soft, policy
    complained_at     timestamptz,                                        -- reported by a feedback loop
    replied_at        timestamptz,                                        -- a reply was matched
    unsubscribed_at   timestamptz,                                        -- the recipient left by this mail
    created_at        timestamptz NOT NULL,                               -- when it was decided
    updated_at        timestamptz NOT NULL DEFAULT now(),                 -- kept by a trigger
    CONSTRAINT token_while_attempted CHECK (state NOT IN ('sending', 'handoff') OR attempt_token IS NOT NULL),
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, dedupe_key),
    UNIQUE (org_id, rfc_message_id)
);
CREATE INDEX email_messages_due_ix ON email_messages (org_id, not_before) WHERE state IN ('queued', 'deferred');
CREATE INDEX email_messages_attempted_ix ON email_messages (org_id, claimed_at) WHERE state IN ('sending', 'handoff', 'unknown');
CREATE INDEX email_messages_lead_ix ON email_messages (org_id, lead_id, created_at DESC) WHERE lead_id IS NOT NULL;
COMMENT ON TABLE email_messages IS 'Ledger and outbox: one row per intended message, ever.';

CREATE TABLE suppressions (
    org_id            uuid NOT NULL,                                      -- the org
    email_norm        text NOT NULL,                                      -- the address
    stream            text NOT NULL DEFAULT 'marketing' CHECK (stream IN ('marketing', 'all')), -- what it must not get
    reason            text NOT NULL                                       -- why
                      CHECK (reason IN ('unsubscribe', 'hard_bounce', 'soft_bounce_limit', 'complaint', 'manual', 'import',
                                        'invalid', 'erased')),
    source            text,                                               -- where that came from
    message_id        uuid,                                               -- the mail that caused it
    created_at        timestamptz NOT NULL,                               -- since when
    expires_at        timestamptz,                                        -- until when; NULL: for good
    PRIMARY KEY (org_id, email_norm, stream)
);
COMMENT ON TABLE suppressions IS 'Addresses an org must not write to.';

CREATE TABLE notifications (
    id                uuid NOT NULL,                                      -- UUIDv7 from the application
    org_id            uuid NOT NULL,                                      -- the org
    user_id           uuid NOT NULL,                                      -- who is told
    kind              text NOT NULL,                                      -- lead_hot, lead_assigned, follow_up_due, …
    title             text NOT NULL,                                      -- one line
    body              text,                                               -- a little more
    lead_id           uuid,                                               -- what it is about
    data              jsonb NOT NULL DEFAULT '{}',                        -- the same for programs
    dedupe_key        text NOT NULL,                                      -- the same news again has the same key
    created_at        timestamptz NOT NULL,                               -- when
    read_at           timestamptz,                                        -- when it was read
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, user_id, dedupe_key)
);
CREATE INDEX notifications_unread_ix ON notifications (org_id, user_id, created_at DESC) WHERE read_at IS NULL;
CREATE INDEX notifications_user_ix ON notifications (org_id, user_id, created_at DESC, id DESC);
COMMENT ON TABLE notifications IS 'What the bell shows a rep.';
