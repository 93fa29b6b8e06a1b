WITH new AS (
    SELECT id, $3::bigint + n AS n FROM unnest($2::uuid[]) WITH ORDINALITY AS new (id, n)
), made AS (
    INSERT INTO leads (id, org_id, first_name, last_name, email, email_norm, job_title, company_name, country, capture_channel,
        source_category)
    SELECT id, $1, 'Jane', 'Doe ' || n, 'jane.doe.' || n || '@example.test', 'jane.doe.' || n || '@example.test',
        (ARRAY['Chief Executive Officer', 'Head of Sales', 'Engineer', 'Teacher', NULL])[n % 5 + 1],
        'Company ' || n % 1000, (ARRAY['US', 'GB', 'DE'])[n % 3 + 1], 'website_form',
        (ARRAY['website', 'referral', 'paid_ads', 'event'])[n % 4 + 1]
    FROM new
)
INSERT INTO lead_behaviour (org_id, lead_id, website_visits, content_downloads, email_opens, email_clicks)
SELECT $1, id, n % 7, n % 2, n % 5, n % 3 FROM new
