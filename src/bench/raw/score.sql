UPDATE bench_raw.lead
SET score_total = given.score, score_band = 'warm', score_version = '1', score_hash = given.hash, score_updated_at = now()
FROM unnest($1::uuid[], $2::smallint[], $3::bytea[]) AS given (id, score, hash)
WHERE lead.id = given.id
