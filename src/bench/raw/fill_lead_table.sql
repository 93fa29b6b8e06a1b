INSERT INTO bench_raw.lead (id, first_name, last_name, email, job_title)
SELECT id, 'Jane', 'Doe ' || n, 'jane.doe.' || n || '@example.test', 'Head of Sales'
FROM unnest($1::uuid[]) WITH ORDINALITY AS new (id, n)
