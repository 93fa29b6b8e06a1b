//! Making a data directory, starting the server on it, and stopping it.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::binaries::Binaries;
use crate::place::Place;
use crate::{Error, Profile, process};

/// How long a server may take until it answers; recovery after a crash is part of it.
const START: Duration = Duration::from_secs(120);
/// How long the remains of a killed server may stand in the way of a new one.
const REMAINS: Duration = Duration::from_secs(10);
/// A log longer than this is started over.
const LOG_LIMIT: u64 = 16 << 20;

/// What is going on in a data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// The server with this pid answers.
    Ready(i32),
    /// A server is starting or stopping.
    Busy(i32),
    /// No server lives here.
    Down,
}

/// Looks at what the server's pid file says, and whether it is true.
///
/// The file beside the socket says the same, in case the other one was removed under a server that lives.
pub(crate) fn state(place: &Place) -> State {
    match told_by(place, &place.data().join("postmaster.pid")) {
        State::Down => told_by(place, &place.socket_lock()),
        state => state,
    }
}

fn told_by(place: &Place, pid_file: &Path) -> State {
    let text = fs::read_to_string(pid_file).unwrap_or_default();
    let mut lines = text.lines();
    let Some(pid) = lines.next().and_then(|line| line.trim().parse().ok()) else {
        return State::Down;
    };
    if !process::is_postgres(pid, &place.data()) {
        return State::Down;
    }
    let says_ready = lines.nth(6).is_some_and(|status| status.trim() == "ready");
    if says_ready && UnixStream::connect(place.socket_file()).is_ok() {
        State::Ready(pid)
    } else {
        State::Busy(pid)
    }
}

/// The major version that made the data, if there are any; those before 10 had two parts.
pub(crate) fn major_of_data(data: &Path) -> Option<u32> {
    let version = fs::read_to_string(data.join("PG_VERSION")).ok()?;
    version.trim().split('.').next()?.parse().ok()
}

/// Makes the data directory; one that was half made by a run that was killed does not count.
pub(crate) fn init(place: &Place, binaries: &Binaries, profile: Profile) -> Result<(), Error> {
    let unfinished = place.dir.join("data.new");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(Error::io("remove a half-made data directory"))?;
    }
    place.make_owned(&unfinished)?;
    let mut command = binaries.command(place.account, "initdb");
    command.arg("-D").arg(&unfinished);
    // The C locale is the one that exists everywhere.
    command.args([
        "-U",
        crate::cluster::SUPERUSER,
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C",
        "--no-instructions",
    ]);
    if profile == Profile::Test {
        command.arg("--no-sync");
    }
    let output = command.output().map_err(Error::io("run initdb"))?;
    if !output.status.success() {
        let output = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        return Err(Error::Failed {
            program: "initdb".to_owned(),
            output,
        });
    }
    fs::rename(&unfinished, place.data()).map_err(Error::io("put the data directory in place"))
}

/// Starts the server and waits until it answers.
pub(crate) fn launch(
    place: &Place,
    binaries: &Binaries,
    settings: &[(String, String)],
) -> Result<Child, Error> {
    place.prepare_socket_dir()?;
    let begun = Instant::now();
    loop {
        // No server lives here. Postgres would take a pid that nobody has reaped, or that is something else's, for one.
        for file in [place.data().join("postmaster.pid"), place.socket_lock()] {
            let _ = fs::remove_file(file);
        }
        let mut log = open_log(&place.log())?;
        let from = log
            .seek(SeekFrom::End(0))
            .map_err(Error::io("read the log"))?;
        let mut child = spawn(place, binaries, settings, &log)?;

        let pid = child.id().cast_signed();
        let mut ended = false;
        let answered = process::wait_until(START, || {
            ended = !matches!(child.try_wait(), Ok(None));
            ended || state(place) == State::Ready(pid)
        });
        if answered && !ended {
            return Ok(child);
        }
        if !ended {
            let _ = child.kill();
            let _ = child.wait();
            return Err(Error::TooLong {
                what: "the start of PostgreSQL",
                log: place.log(),
            });
        }
        let output = read_from(&place.log(), from);
        // What is left of a killed server goes away by itself within a moment.
        let remains = output.contains("shared memory block") || output.contains("already exists");
        if !remains || begun.elapsed() > REMAINS {
            return Err(Error::Failed {
                program: "postgres".to_owned(),
                output,
            });
        }
        std::thread::sleep(process::POLL);
    }
}

/// Stops the server: it ends its sessions and writes everything out; if it will not, it is ended harder.
pub(crate) fn stop(place: &Place, pid: i32) -> Result<(), Error> {
    let data = place.data();
    for (signal, patience) in [(Signal::INT, 30), (Signal::QUIT, 10), (Signal::KILL, 5)] {
        process::signal(pid, signal);
        if process::wait_until(Duration::from_secs(patience), || {
            !process::is_postgres(pid, &data)
        }) {
            return Ok(());
        }
    }
    Err(Error::TooLong {
        what: "the stop of PostgreSQL",
        log: place.log(),
    })
}

fn spawn(
    place: &Place,
    binaries: &Binaries,
    settings: &[(String, String)],
    log: &File,
) -> Result<Child, Error> {
    let log = || log.try_clone().map_err(Error::io("open the log"));
    let mut command = binaries.command(place.account, "postgres");
    command.arg("-D").arg(place.data());
    for (name, value) in settings {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    command.arg("-c").arg(format!(
        "unix_socket_directories={}",
        place.socket.display()
    ));
    // Its own group: a Ctrl-C is for us, who stop it when our own work is done.
    command
        .stdout(Stdio::from(log()?))
        .stderr(Stdio::from(log()?))
        .process_group(0)
        .spawn()
        .map_err(Error::io("start postgres"))
}

fn open_log(path: &Path) -> Result<File, Error> {
    let too_long = fs::metadata(path).is_ok_and(|meta| meta.len() > LOG_LIMIT);
    if too_long {
        let _ = fs::remove_file(path);
    }
    File::options()
        .create(true)
        .append(true)
        .open(path)
        .map_err(Error::io(format!("open {}", path.display())))
}

fn read_from(path: &Path, from: u64) -> String {
    let mut text = String::new();
    if let Ok(mut file) = File::open(path) {
        let _ = file
            .seek(SeekFrom::Start(from))
            .and_then(|_| file.read_to_string(&mut text));
    }
    text
}
