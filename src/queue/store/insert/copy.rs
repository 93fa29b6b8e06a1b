//! Many new rows in the format of `COPY`.

use std::fmt::Write;

use sqlx::PgConnection;

use super::New;

/// Inserts jobs of one batch or none that have no key and are ready; says how many.
pub(super) async fn copy(db: &mut PgConnection, new: &[New]) -> sqlx::Result<u64> {
    let rows = rows(new);
    let statement = match new.first().and_then(|new| new.batch) {
        None => {
            "COPY queue.job (queue, kind, version, priority, max_attempts, payload, lane, trace, limit_key) FROM STDIN"
        }
        Some(_) => {
            "COPY queue.job (queue, kind, version, priority, max_attempts, payload, lane, trace, limit_key, batch_id) FROM STDIN"
        }
    };
    let mut copy = db.copy_in_raw(statement).await?;
    // A copy that fails is over: what is wrong is told by `finish`.
    if let Err(error) = copy.send(rows).await {
        copy.abort("not sent").await?;
        return Err(error);
    }
    copy.finish().await
}

fn rows(new: &[New]) -> Vec<u8> {
    let mut rows = String::with_capacity(new.iter().map(|new| new.payload.len() + 160).sum());
    for new in new {
        text(&mut rows, new.queue);
        rows.push('\t');
        text(&mut rows, new.kind);
        // Writing to a string does not fail.
        let _ = write!(
            rows,
            "\t{}\t{}\t{}\t",
            new.version, new.priority, new.max_attempts
        );
        text(&mut rows, &new.payload);
        rows.push('\t');
        match new.lane {
            Some(lane) => drop(write!(rows, "{lane}")),
            None => rows.push_str("\\N"),
        }
        rows.push('\t');
        match &new.trace {
            Some(trace) => text(&mut rows, trace),
            None => rows.push_str("\\N"),
        }
        rows.push('\t');
        text(&mut rows, &new.limit_key);
        if let Some(batch) = new.batch {
            let _ = write!(rows, "\t{batch}");
        }
        rows.push('\n');
    }
    rows.into_bytes()
}

/// A field, in which what means something to `COPY` is escaped.
fn text(rows: &mut String, field: &str) {
    let mut rest = field;
    while let Some(at) = rest.find(['\\', '\t', '\n', '\r']) {
        rows.push_str(&rest[..at]);
        rows.push_str(match rest.as_bytes()[at] {
            b'\t' => "\\t",
            b'\n' => "\\n",
            b'\r' => "\\r",
            _ => "\\\\",
        });
        rest = &rest[at + 1..];
    }
    rows.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn what_means_something_is_escaped() {
        let mut row = String::new();
        text(&mut row, "a\\n\tb\nc\rd\\\\ä\\N");
        assert_eq!(row, "a\\\\n\\tb\\nc\\rd\\\\\\\\ä\\\\N");
    }
}
