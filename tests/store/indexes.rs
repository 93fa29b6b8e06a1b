//! Every way in which leads are looked for has an index that begins with the org.

use crate::harness::World;

/// What reps and jobs look for, as the columns that lead there.
const WANTED: [(&str, &[&str]); 11] = [
    ("newest of a status", &["org_id", "status", "created_at"]),
    (
        "of a channel and campaign",
        &["org_id", "capture_channel", "source_campaign_id"],
    ),
    (
        "best first",
        &["org_id", "score_total", "status", "last_activity_at"],
    ),
    (
        "whose next step is due",
        &["org_id", "nurture_status", "next_nurture_step_at"],
    ),
    ("of a source", &["org_id", "source_id"]),
    ("qualified when", &["org_id", "mql_at"]),
    ("of a rep", &["org_id", "assigned_to_user_id"]),
    ("not spoken to since", &["org_id", "last_contacted_at"]),
    ("in a stage", &["org_id", "stage_id"]),
    ("newest first", &["org_id", "created_at", "id"]),
    ("to follow up", &["org_id", "next_follow_up_at"]),
];

#[tokio::test]
async fn every_way_to_look_for_leads_has_its_index() {
    let world = World::new().await;
    let indexes: Vec<Vec<String>> = sqlx::query_scalar(
        r#"
        SELECT array_agg(a.attname::text ORDER BY key.place)
        FROM pg_index i
        CROSS JOIN unnest(i.indkey) WITH ORDINALITY AS key (attnum, place)
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = key.attnum
        WHERE i.indrelid = 'leads'::regclass AND i.indisvalid
        GROUP BY i.indexrelid
        "#,
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();

    for (what, columns) in WANTED {
        let served = indexes.iter().any(|index| {
            index.starts_with(&columns.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>())
        });
        assert!(served, "nothing finds leads {what}: {columns:?}");
    }
}

#[tokio::test]
async fn every_reference_between_tables_of_an_org_can_be_followed_back() {
    let world = World::new().await;
    // Without an index, removing what is referred to reads the whole table.
    let slow: Vec<String> = sqlx::query_scalar(
        r#"
        SELECT c.conrelid::regclass || '.' || a.attname
        FROM pg_constraint c
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[array_upper(c.conkey, 1)]
        WHERE c.contype = 'f' AND c.confdeltype = 'c' AND c.confrelid = 'leads'::regclass
            AND NOT EXISTS (
                SELECT FROM pg_index i
                WHERE i.indrelid = c.conrelid AND c.conkey <@ (i.indkey::int2[])[0:array_length(c.conkey, 1) - 1]
            )
        ORDER BY 1
        "#,
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    assert_eq!(slow, Vec::<String>::new());
}
