//! Tell a database that is not there from a mistake of ours.

/// Seconds after which a sender who came during an outage is to come again.
pub const RETRY_AFTER_SECONDS: u64 = 5;

/// Whether the same statement may well succeed in a while: the sender is asked to come back.
pub fn is_outage(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error.code().is_some_and(|code| is_passing(&code)),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Configuration(_) => true,
        _ => false,
    }
}

/// Whether the database gave a statement up because it took longer than we let it: the same is asked for in vain again.
pub fn gave_up(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code == QUERY_CANCELED)
}

const QUERY_CANCELED: &str = "57014";

/// Connection, resources, operator, system, read-only, serialisation, lock: all pass by themselves.
fn is_passing(code: &str) -> bool {
    let passing = ["08", "53", "57", "58", "40", "25006", "55P03"];
    code != QUERY_CANCELED && passing.iter().any(|prefix| code.starts_with(prefix))
}
