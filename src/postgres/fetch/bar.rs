//! How far a download is, for whoever waits at a terminal.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often it is drawn.
const EVERY: Duration = Duration::from_millis(200);
/// How many characters the whole is.
const WIDTH: u64 = 30;

/// A line that grows until this is dropped; nothing where nobody looks.
pub(super) struct Bar(Option<(Sender<()>, JoinHandle<()>)>);

impl Bar {
    /// For files that come into `dir` and are `whole` bytes together.
    pub(super) fn of(dir: &Path, whole: u64) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let (stop, stopped) = mpsc::channel();
        let dir: PathBuf = dir.to_owned();
        let drawing = std::thread::spawn(move || {
            while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                let _ = write!(std::io::stderr(), "\r{}", drawn(size_of(&dir), whole));
            }
            // The line is cleared: what comes next begins where it stood.
            let _ = write!(std::io::stderr(), "\r\x1b[2K");
        });
        Self(Some((stop, drawing)))
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some((stop, drawing)) = self.0.take() {
            drop(stop);
            let _ = drawing.join();
        }
    }
}

fn drawn(there: u64, whole: u64) -> String {
    let there = there.min(whole);
    let full = there * WIDTH / whole.max(1);
    let bar: String = (0..WIDTH)
        .map(|at| if at < full { '#' } else { '.' })
        .collect();
    let megabytes = |bytes: u64| bytes.div_ceil(1_000_000);
    format!("  [{bar}] {} of {} MB", megabytes(there), megabytes(whole))
}

/// The files of a directory and of those in it; what a program keeps elsewhere until it is whole is not seen.
fn size_of(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let meta = entry.metadata().ok()?;
            Some(if meta.is_dir() {
                size_of(&entry.path())
            } else {
                meta.len()
            })
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::drawn;

    #[test]
    fn a_download_is_drawn_up_to_its_end() {
        assert_eq!(
            drawn(0, 24_000_000),
            "  [..............................] 0 of 24 MB"
        );
        assert_eq!(
            drawn(11_900_000, 24_000_000),
            "  [##############................] 12 of 24 MB"
        );
        assert_eq!(
            drawn(25_000_000, 24_000_000),
            "  [##############################] 24 of 24 MB"
        );
    }
}
