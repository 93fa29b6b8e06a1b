UPDATE bench_raw.job
SET state = 2, attempt = attempt + 1, started_at = now()
WHERE ctid = ANY (ARRAY (
    SELECT ctid FROM bench_raw.job
    WHERE queue = 'bench' AND state = 0
    ORDER BY priority, run_at, id
    LIMIT $1
    FOR UPDATE SKIP LOCKED
))
RETURNING id, kind, payload::text
