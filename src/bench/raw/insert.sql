INSERT INTO bench_raw.job (queue, kind, payload)
SELECT 'bench', 'bench_noop', payload::jsonb FROM unnest($1::text[]) AS new (payload)
