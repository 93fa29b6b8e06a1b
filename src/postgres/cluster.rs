//! A private cluster: started or adopted, and stopped with the last process that uses it.

mod standby;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tracing::{info, warn};
use url::Url;

use crate::binaries::{self, Binaries, OLDEST_MAJOR};
use crate::error::{NotFound, System};
use crate::fetch;
use crate::holders::{self, Holders};
use crate::launch::{self, State};
use crate::options::{Options, Profile};
use crate::place::Place;
use crate::server::Server;
use crate::{Error, lock, process};

/// The role that owns the cluster; nothing but the set-up of roles is done with it.
pub(crate) const SUPERUSER: &str = "postgres";
/// The role of the application, with the rights that a managed Postgres would give: it owns its databases.
pub(crate) const APPLICATION: &str = "leadmill";

/// How long another run may hold up this one.
const PATIENCE: Duration = Duration::from_secs(180);

/// How long is waited before a server that did not come up again is tried once more, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How many seconds a run of tests may have no process: between one test's process and the next.
const LINGER: u32 = 3;

/// A private cluster that this process uses; dropping it stops the server unless somebody else uses it too.
#[derive(Debug)]
pub struct Cluster {
    shared: Arc<Shared>,
    server: Server,
    adopted: bool,
}

#[derive(Debug)]
struct Shared {
    options: Options,
    place: Place,
    holders: Holders,
    released: AtomicBool,
    /// Until the first start: whether data of before are removed.
    anew: AtomicBool,
}

/// A server that answers.
enum Up {
    /// It ran already.
    Adopted(i32),
    /// We started it.
    Launched(Child),
}

impl Cluster {
    /// Adopts the cluster that runs in the asked directory, or starts it there.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let (shared, up, lock) = blocking(move || {
            let place = Place::prepare(&options.dir)?;
            let linger = if options.until_runner_ends { LINGER } else { 0 };
            let holders = Holders::new(&place, linger, options.remove_afterwards);
            let shared = Shared {
                anew: AtomicBool::new(options.anew && place.is_elsewhere),
                options,
                place,
                holders,
                released: AtomicBool::new(false),
            };
            match shared.bring_up() {
                Ok((up, lock)) => Ok((Arc::new(shared), up, lock)),
                Err(error) => {
                    let _ = shared.release();
                    Err(error)
                }
            }
        })
        .await?;

        let adopted = matches!(up, Up::Adopted(_));
        let cluster = Self {
            server: Server::new(shared.url(APPLICATION, SUPERUSER)?, shared.options.profile),
            shared,
            adopted,
        };
        // Bound after the cluster, so that on an error it goes first: the cluster takes it again to stop.
        let lock = lock;
        if !adopted {
            let superuser = Server::new(
                cluster.shared.url(SUPERUSER, SUPERUSER)?,
                cluster.shared.options.profile,
            );
            superuser.ensure_role(APPLICATION).await?;
            if cluster.shared.options.profile == Profile::Test {
                cluster.server.drop_test_databases().await?;
            }
        }
        drop(lock);
        cluster.shared.clone().guard(up);
        Ok(cluster)
    }

    /// The server, to make databases on it.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The address of `database`, for the application's role.
    pub fn url(&self, database: &str) -> String {
        self.server.url(database)
    }

    /// Whether the server ran already.
    pub fn is_adopted(&self) -> bool {
        self.adopted
    }

    /// The directory that the cluster really lives in.
    pub fn dir(&self) -> &Path {
        &self.shared.place.dir
    }

    /// The pid of the server, if one answers.
    pub fn pid(&self) -> Option<i32> {
        match launch::state(&self.shared.place) {
            State::Ready(pid) => Some(pid),
            State::Busy(_) | State::Down => None,
        }
    }

    /// The address of `database`, for the role that owns the cluster.
    pub fn superuser_url(&self, database: &str) -> Result<String, Error> {
        Ok(self.shared.url(SUPERUSER, database)?.into())
    }

    /// The socket that clients connect to.
    pub fn socket(&self) -> PathBuf {
        self.shared.place.socket_file()
    }

    /// Stops the server as its own service would, and keeps the cluster: [`Cluster::revive`] starts it again.
    pub async fn halt(&self) -> Result<(), Error> {
        let shared = self.shared.clone();
        blocking(move || match launch::state(&shared.place) {
            State::Ready(pid) | State::Busy(pid) => launch::stop(&shared.place, pid),
            State::Down => Ok(()),
        })
        .await
    }

    /// Kills the server the way a crash would, and waits until it is gone.
    pub async fn kill(&self) -> Result<(), Error> {
        let Some(pid) = self.pid() else { return Ok(()) };
        let shared = self.shared.clone();
        process::signal(pid, Signal::KILL);
        blocking(move || {
            let gone = || !process::is_postgres(pid, &shared.place.data());
            let log = shared.place.log();
            let in_time = process::wait_until(Duration::from_secs(10), gone);
            if in_time {
                Ok(())
            } else {
                Err(Error::TooLong {
                    what: "the end of PostgreSQL",
                    log,
                })
            }
        })
        .await
    }

    /// Starts the server again if it is down.
    pub async fn revive(&self) -> Result<(), Error> {
        let shared = self.shared.clone();
        blocking(move || {
            let (up, lock) = shared.bring_up()?;
            drop(lock);
            shared.guard(up);
            Ok(())
        })
        .await
    }

    /// Stops using the cluster; stops the server unless somebody else uses it too.
    pub async fn stop(self) -> Result<(), Error> {
        let shared = self.shared.clone();
        blocking(move || shared.release()).await
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Err(error) = self.shared.release() {
            warn!(%error, "Could not stop the private PostgreSQL");
        }
    }
}

impl Shared {
    /// Adopts or launches, alone among all processes; the lock is held until the result is dropped.
    fn bring_up(&self) -> Result<(Up, File), Error> {
        let lock = self.lock()?;
        let runner = self
            .options
            .until_runner_ends
            .then(holders::test_runner)
            .flatten();
        self.holders.register(runner)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let late = Instant::now() > deadline;
            match launch::state(&self.place) {
                _ if self.holders.is_stopping() && !late => {}
                State::Ready(pid) => {
                    self.holders.ensure_watcher()?;
                    return Ok((Up::Adopted(pid), lock));
                }
                State::Busy(_) if !late => {}
                // One that neither starts nor stops, or that has lost its socket, is of no use to anybody.
                State::Busy(pid) => launch::stop(&self.place, pid)?,
                State::Down => {
                    if self.anew.swap(false, Ordering::AcqRel) && self.place.data().exists() {
                        std::fs::remove_dir_all(self.place.data())
                            .map_err(Error::io("remove data that are not wanted any more"))?;
                    }
                    self.holders.ensure_watcher()?;
                    return Ok((Up::Launched(self.launch()?), lock));
                }
            }
            std::thread::sleep(process::POLL);
        }
    }

    fn launch(&self) -> Result<Child, Error> {
        let settings = self.options.all_settings();
        let disposable = self.options.profile == Profile::Test;
        let first = self.launch_on_data(&settings);
        match first {
            Err(Error::OtherMajor { .. } | Error::TooOld { .. } | Error::Failed { .. })
                if disposable && self.place.data().exists() =>
            {
                std::fs::remove_dir_all(self.place.data())
                    .map_err(Error::io("remove unusable test data"))?;
                self.launch_on_data(&settings)
            }
            result => result,
        }
    }

    fn launch_on_data(&self, settings: &[(String, String)]) -> Result<Child, Error> {
        let major = launch::major_of_data(&self.place.data());
        let binaries = self.find_binaries(major)?;
        if major.is_none() {
            launch::init(&self.place, &binaries, self.options.profile)?;
        }
        launch::launch(&self.place, &binaries, settings)
    }

    /// Installed binaries, or fetched ones, of the version that made the data.
    fn find_binaries(&self, major: Option<u32>) -> Result<Binaries, Error> {
        if let Some(major) = major.filter(|major| *major < OLDEST_MAJOR) {
            return Err(Error::TooOld {
                data: self.place.data(),
                major,
            });
        }
        let Options {
            search,
            fetch,
            announce,
            ..
        } = &self.options;
        let account = self.place.account;
        let mut found = binaries::find(search, account);
        let mut attempts = Vec::new();
        let fits = found.choose(major).is_some();
        // Test data of another version are made anew, by what is there.
        let disposable = self.options.profile == Profile::Test && !found.usable.is_empty();
        if !fits && !disposable && search.named.is_none() {
            let order = fetch::Order {
                cache: &search.cache,
                path: search.path.as_deref(),
                major,
                announce: *announce,
            };
            attempts = fetch::fetch(*fetch, &order);
            found = binaries::find(search, account);
        }
        if let Some(binaries) = found.choose(major) {
            return Ok(binaries.clone());
        }
        match major {
            Some(major) if !found.usable.is_empty() => Err(Error::OtherMajor {
                data: self.place.data(),
                major,
                fetch: attempts,
            }),
            _ => Err(Error::NotFound(Box::new(NotFound {
                looked_for: search.describe(),
                refused: found.refused,
                fetch: attempts,
                system: System::current(),
            }))),
        }
    }

    fn lock(&self) -> Result<File, Error> {
        lock::take(&self.place, PATIENCE, self.options.announce)
    }

    /// Reaps the server when it ends and, if asked, starts it again.
    fn guard(self: Arc<Self>, up: Up) {
        if matches!(up, Up::Adopted(_)) && !self.options.keep_alive {
            return;
        }
        std::thread::spawn(move || {
            let mut up = up;
            loop {
                match up {
                    Up::Launched(mut child) => drop(child.wait()),
                    Up::Adopted(pid) => {
                        let data = self.place.data();
                        while process::is_postgres(pid, &data)
                            && !self.released.load(Ordering::Acquire)
                        {
                            std::thread::sleep(Duration::from_millis(500));
                        }
                    }
                }
                if self.released.load(Ordering::Acquire) {
                    return;
                }
                warn!("The private PostgreSQL ended by itself");
                if !self.options.keep_alive {
                    return;
                }
                match self.bring_back() {
                    Some(again) => up = again,
                    None => return,
                }
                info!("The private PostgreSQL runs again");
            }
        });
    }

    /// Brings it up again, however often that fails: a disk that is full may be empty in a while. Nothing if the last use
    /// ended meanwhile.
    fn bring_back(&self) -> Option<Up> {
        let mut pause = FIRST_PAUSE;
        loop {
            let up = self.bring_up().map(|(up, _lock)| up);
            if self.released.swap(false, Ordering::AcqRel) {
                // While we were at it.
                let _ = self.release();
                return None;
            }
            match up {
                Ok(up) => return Some(up),
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    warn!(
                        error,
                        "Could not start the private PostgreSQL again; trying on"
                    );
                }
            }
            if process::wait_until(pause, || self.released.load(Ordering::Acquire)) {
                return None;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Stops using the cluster, once.
    fn release(&self) -> Result<(), Error> {
        if self.released.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let _lock = self.lock()?;
        if self.holders.unregister() {
            return Ok(());
        }
        if let State::Ready(pid) | State::Busy(pid) = launch::state(&self.place) {
            launch::stop(&self.place, pid)?;
        }
        self.holders.dismiss_watcher();
        self.place.remove_socket_dir();
        if self.options.remove_afterwards {
            std::fs::remove_dir_all(&self.place.dir)
                .map_err(Error::io("remove the temporary cluster"))?;
        }
        Ok(())
    }

    fn url(&self, role: &str, database: &str) -> Result<Url, Error> {
        let mut url = Url::parse(&format!("postgres:///{database}"))?;
        url.query_pairs_mut()
            .append_pair("host", &self.place.socket.display().to_string())
            .append_pair("user", role);
        Ok(url)
    }
}

/// Runs `work` where it may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => Err(Error::io("run a blocking step")(std::io::Error::other(
                error,
            ))),
        },
    }
}
