//! One at a time among all processes: whoever starts, fetches or stops holds the lock of the directory.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use crate::place::Place;
use crate::{Error, process};

/// A wait this short is not worth a line.
const SILENT: Duration = Duration::from_secs(1);

/// Takes the lock of `place`; it is held until the file is closed. A wait is told once, and ends after `patience`.
pub(crate) fn take(place: &Place, patience: Duration, announce: fn(&str)) -> Result<File, Error> {
    let file = File::options()
        .create(true)
        .append(true)
        .open(place.dir.join("lock"))
        .map_err(Error::io("open the lock"))?;
    if wait(&file, SILENT.min(patience))? {
        return Ok(file);
    }
    announce(&waiting(&place.dir));
    if wait(&file, patience.saturating_sub(SILENT))? {
        return Ok(file);
    }
    Err(Error::TooLong {
        what: "another run with this cluster",
        log: place.log(),
    })
}

fn waiting(dir: &Path) -> String {
    format!("Waiting for another run in {}", dir.display())
}

/// Whether the lock was had within `patience`.
fn wait(file: &File, patience: Duration) -> Result<bool, Error> {
    let mut failed = None;
    let taken = process::wait_until(patience, || match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(error)) => {
            failed = Some(error);
            true
        }
    });
    match failed {
        Some(error) => Err(Error::io("take the lock")(error)),
        None => Ok(taken),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_wait_is_told_once_and_ends() {
        static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());
        let announce = |line: &str| SAID.lock().unwrap().push(line.to_owned());
        let dir = tempfile::tempdir().unwrap();
        let place = Place::prepare(dir.path()).unwrap();
        let dir = place.dir.clone();
        let moment = Duration::from_millis(1500);
        let held = take(&place, moment, announce).unwrap();
        assert_eq!(*SAID.lock().unwrap(), [""; 0]);

        let refused = take(&place, moment, announce).unwrap_err();

        assert!(matches!(refused, Error::TooLong { .. }), "{refused}");
        assert_eq!(*SAID.lock().unwrap(), [waiting(&dir)]);
        drop(held);
        take(&place, moment, announce).unwrap();
        assert_eq!(SAID.lock().unwrap().len(), 1);
        if place.is_elsewhere {
            std::fs::remove_dir_all(dir).unwrap();
        }
    }
}
