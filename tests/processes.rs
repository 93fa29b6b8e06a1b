//! Real processes of `leadmill`: how they start, say that they are ready, survive an outage and stop.

mod chaos;
pub(crate) mod dev;
mod old_server;
pub(crate) mod proxy;
mod serve;
mod work;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

/// How long anything of a process may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A process, killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    /// Where it answers, from its own log; empty of one that was only begun.
    pub url: String,
    listens: Arc<OnceLock<Instant>>,
    log: Arc<Mutex<Vec<String>>>,
    /// Reads the log until the process has closed it.
    reader: Option<JoinHandle<()>>,
}

impl Process {
    /// Start `leadmill` on the database and wait until it says where it listens.
    pub(crate) fn start(args: &[&str], database_url: &str) -> Self {
        let (mut process, url) = Self::spawn(args, database_url);
        process.url = url
            .recv_timeout(PATIENCE)
            .expect("the process should say where it listens");
        process
    }

    /// Start `leadmill` on the database and wait for nothing.
    pub(crate) fn begin(args: &[&str], database_url: &str) -> Self {
        Self::spawn(args, database_url).0
    }

    fn spawn(args: &[&str], database_url: &str) -> (Self, mpsc::Receiver<String>) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_leadmill"))
            .args(args)
            .current_dir(std::env::temp_dir())
            .env_clear()
            .env("DATABASE_URL", database_url)
            .env("RUST_LOG", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let (found, url) = mpsc::channel();
        let listens = Arc::<OnceLock<Instant>>::default();
        let said = listens.clone();
        let log_lines = Arc::<Mutex<Vec<String>>>::default();
        let noted = log_lines.clone();
        // Reads on to the end, so that the process never waits for somebody to read its log.
        let reader = std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                noted.lock().unwrap().push(line.clone());
                if let Some(at) = line.find("Listening on http://") {
                    let url = line[at + "Listening on ".len()..]
                        .split('"')
                        .next()
                        .unwrap_or_default();
                    let _ = said.set(Instant::now());
                    let _ = found.send(url.to_owned());
                }
            }
        });
        let process = Self {
            child,
            url: String::new(),
            listens,
            log: log_lines,
            reader: Some(reader),
        };
        (process, url)
    }

    /// The lines of its log with this text, so far.
    pub(crate) fn said(&self, text: &str) -> Vec<String> {
        let log = self.log.lock().unwrap();
        log.iter()
            .filter(|line| line.contains(text))
            .cloned()
            .collect()
    }

    /// For how long it has listened.
    pub(crate) fn listens_for(&self) -> Duration {
        self.listens.get().map_or(Duration::ZERO, Instant::elapsed)
    }

    /// Whether it has not ended.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Send it a signal by its number.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([name, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Wait until it takes no more connections.
    pub(crate) async fn until_gone(&self) {
        let address = self.url.trim_start_matches("http://");
        let gone = async {
            while TcpStream::connect(address).await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        let gone = tokio::time::timeout(PATIENCE, gone).await;
        gone.expect("it should listen no more");
    }

    /// Wait for its end, and until all that it said is known.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                if let Some(reader) = self.reader.take() {
                    reader.join().unwrap();
                }
                return status;
            }
            assert!(Instant::now() < deadline, "the process should have ended");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Status and body of a GET.
    pub(crate) async fn get(&self, path: &str) -> Option<(u16, String)> {
        // The first test to come here installs it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let response = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(10))
            .build()
            .unwrap()
            .get(format!("{}{path}", self.url))
            .send()
            .await
            .ok()?;
        Some((response.status().as_u16(), response.text().await.ok()?))
    }

    /// Ask `path` until it answers `status`; how long that took.
    pub(crate) async fn until(&self, path: &str, status: u16) -> Duration {
        let started = Instant::now();
        loop {
            if self
                .get(path)
                .await
                .is_some_and(|(found, _)| found == status)
            {
                return started.elapsed();
            }
            assert!(
                started.elapsed() < PATIENCE,
                "{path} should have answered {status}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
