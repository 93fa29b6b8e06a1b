//! Safeguards taken out of a database, so that what watches over them can be seen to bark.
//!
//! The program stays as it is: each change makes the database answer as it would if the statement lacked its safeguard.

use sqlx::PgConnection;

/// Claims no longer have epochs of their own, so `(id, epoch)` in a statement says no more than `id`.
const FENCE: &str = r#"
    CREATE FUNCTION chaos.no_epochs() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NEW.epoch := OLD.epoch;
        RETURN NEW;
    END $$;
    CREATE TRIGGER no_epochs BEFORE UPDATE ON queue.job FOR EACH ROW EXECUTE FUNCTION chaos.no_epochs()
"#;

/// The index of live keys holds nothing apart: two jobs of one key may live.
///
/// `ON CONFLICT` wants an index of these columns and predicate, so the key itself is made another each time.
const UNIQUE: &str = r#"
    CREATE FUNCTION chaos.no_keys() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NEW.unique_key := NEW.unique_key || random();
        RETURN NEW;
    END $$;
    CREATE TRIGGER no_keys BEFORE INSERT ON queue.job FOR EACH ROW EXECUTE FUNCTION chaos.no_keys()
"#;

/// A job that is given back keeps the attempt that it did not have.
const REFUND: &str = r#"
    CREATE FUNCTION chaos.no_refund() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NEW.attempt := OLD.attempt;
        RETURN NEW;
    END $$;
    CREATE TRIGGER no_refund BEFORE UPDATE ON queue.job FOR EACH ROW
        WHEN (NEW.attempt < OLD.attempt) EXECUTE FUNCTION chaos.no_refund()
"#;

/// Outcomes no longer compare epochs.
pub(in crate::chaos) async fn fence(db: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql(FENCE).execute(db).await.map(drop)
}

/// Keys no longer keep jobs apart.
pub(in crate::chaos) async fn unique(db: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql(UNIQUE).execute(db).await.map(drop)
}

/// Attempts are no longer given back.
pub(in crate::chaos) async fn refund(db: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql(REFUND).execute(db).await.map(drop)
}
