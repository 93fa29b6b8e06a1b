WITH gone AS (DELETE FROM bench_raw.job WHERE id = ANY ($1) RETURNING *)
INSERT INTO bench_raw.history SELECT * FROM gone
