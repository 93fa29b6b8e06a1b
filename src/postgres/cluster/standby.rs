//! A second cluster that follows a first one and can take its place.
//!
//! The copy is made by the server's own means for it (`pg_backup_start`), so no program is needed that a package of the
//! server alone does not have.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection, Row};

use super::{Cluster, SUPERUSER, blocking};
use crate::place::Place;
use crate::{Error, Options, process};

/// What a copy leaves out: it belongs to the server that runs, or is fetched from it.
const LEFT_OUT: &[&str] = &[
    "postmaster.pid",
    "postmaster.opts",
    "backup_label",
    "standby.signal",
];
/// Of these directories a copy has no content.
const EMPTY: &[&str] = &[
    "pg_wal",
    "pg_replslot",
    "pg_dynshmem",
    "pg_notify",
    "pg_serial",
    "pg_snapshots",
    "pg_stat_tmp",
    "pg_subtrans",
];
/// From this version on a backup is begun and ended by other names.
const RENAMED: u32 = 150_000;
/// How long a standby may take to have everything.
const PATIENCE: Duration = Duration::from_secs(60);

impl Cluster {
    /// A cluster that is a copy of this one and follows it, in the directory of `options`, which must hold no data.
    pub async fn standby(&self, options: Options) -> Result<Self, Error> {
        let mut db = self.superuser().await?;
        let renamed = db.server_version_num().unwrap_or(RENAMED) >= RENAMED;
        let begin = if renamed {
            "SELECT pg_backup_start('standby', true)"
        } else {
            "SELECT pg_start_backup('standby', true, false)"
        };
        sqlx::query(begin).execute(&mut db).await?;
        let from = self.shared.place.data();
        let dir = options.dir.clone();
        let place = blocking(move || {
            let place = Place::prepare(&dir)?;
            copy(&from, &place.data(), &place)?;
            Ok(place)
        })
        .await?;
        let end = if renamed {
            "SELECT labelfile FROM pg_backup_stop(false)"
        } else {
            "SELECT labelfile FROM pg_stop_backup(false, false)"
        };
        let label: String = sqlx::query(end).fetch_one(&mut db).await?.try_get(0)?;
        db.close().await?;
        let follow = format!(
            "\nprimary_conninfo = 'host={} user={SUPERUSER}'\n",
            self.shared.place.socket.display()
        );
        blocking(move || {
            let data = place.data();
            let conf = data.join("postgresql.auto.conf");
            let mut settings = fs::read_to_string(&conf).map_err(Error::io("read settings"))?;
            settings += &follow;
            for (file, text) in [
                ("backup_label", label),
                ("standby.signal", String::new()),
                ("postgresql.auto.conf", settings),
            ] {
                let path = data.join(file);
                fs::write(&path, text).map_err(Error::io(format!("write {}", path.display())))?;
                place
                    .account
                    .own(&path)
                    .map_err(Error::io("hand over a file"))?;
            }
            Ok(())
        })
        .await?;
        Self::start(options).await
    }

    /// Makes each commit wait for a standby, and waits until one keeps pace.
    pub async fn require_standby(&self) -> Result<(), Error> {
        let mut db = self.superuser().await?;
        sqlx::query("ALTER SYSTEM SET synchronous_standby_names = '*'")
            .execute(&mut db)
            .await?;
        sqlx::query("SELECT pg_reload_conf()")
            .execute(&mut db)
            .await?;
        let until = Instant::now() + PATIENCE;
        loop {
            let follows: bool = sqlx::query_scalar(
                "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync' AND state = 'streaming')",
            )
            .fetch_one(&mut db)
            .await?;
            if follows {
                db.close().await?;
                return Ok(());
            }
            if Instant::now() > until {
                return Err(Error::TooLong {
                    what: "the standby",
                    log: self.shared.place.log(),
                });
            }
            tokio::time::sleep(process::POLL).await;
        }
    }

    /// Makes a standby the primary, and waits until it takes writes.
    pub async fn promote(&self) -> Result<(), Error> {
        let mut db = self.superuser().await?;
        let promoted: bool = sqlx::query_scalar("SELECT pg_promote(true, 60)")
            .fetch_one(&mut db)
            .await?;
        db.close().await?;
        if promoted {
            Ok(())
        } else {
            Err(Error::TooLong {
                what: "the promotion of the standby",
                log: self.shared.place.log(),
            })
        }
    }

    async fn superuser(&self) -> Result<PgConnection, Error> {
        Ok(PgConnection::connect(&self.superuser_url(SUPERUSER)?).await?)
    }
}

/// Copies a data directory under a server that runs: what vanishes meanwhile is in its log.
fn copy(from: &Path, to: &Path, place: &Place) -> Result<(), Error> {
    place.make_owned(to)?;
    let entries = fs::read_dir(from).map_err(Error::io(format!("read {}", from.display())))?;
    for entry in entries {
        let entry = entry.map_err(Error::io("read a data directory"))?;
        let name = entry.file_name();
        if LEFT_OUT.iter().any(|left_out| name == *left_out) {
            continue;
        }
        let (source, target) = (entry.path(), to.join(&name));
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_dir && EMPTY.iter().any(|empty| name == *empty) {
            place.make_owned(&target)?;
            if name == "pg_wal" {
                place.make_owned(&target.join("archive_status"))?;
            }
        } else if is_dir {
            copy(&source, &target, place)?;
        } else {
            match fs::copy(&source, &target) {
                Ok(_) => place
                    .account
                    .own(&target)
                    .map_err(Error::io("hand over a file"))?,
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(Error::io(format!("copy {}", source.display()))(error));
                }
            }
        }
    }
    Ok(())
}
