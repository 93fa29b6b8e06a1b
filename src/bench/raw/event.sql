INSERT INTO bench_raw.event (id, org_id, dedupe_key, content_type, headers, body, submission, received_at)
VALUES ($1, $2, $3, 'application/json', '{}', $4, $5::jsonb, now())
