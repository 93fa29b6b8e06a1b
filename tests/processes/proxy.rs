//! A line to the database that a test can cut, mend or let fall silent, and that counts what is asked.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{Notify, watch};

/// Forwards connections to the database until it is cut.
pub(crate) struct Line {
    /// The database by way of this line.
    pub url: String,
    cut: Arc<AtomicBool>,
    changed: Arc<Notify>,
    ear: Arc<Ear>,
}

/// What a line hears.
#[derive(Default)]
struct Ear {
    /// How many statements have been sent.
    asked: watch::Sender<usize>,
    /// Falls silent as soon as a connection is asked whether it is well.
    is_touchy: AtomicBool,
    /// The connection that sends this text breaks when it commits, with the answer under way.
    ill_fated: Mutex<Option<&'static str>>,
    silence: Notify,
}

impl Line {
    /// A line to the database at `url`, which names a folder with a socket or a host with a port.
    pub(crate) async fn to(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let target = Target::of(url);
        let line = Self {
            url: target.through(port),
            cut: Arc::default(),
            changed: Arc::default(),
            ear: Arc::default(),
        };
        let (cut, changed) = (line.cut.clone(), line.changed.clone());
        let ear = line.ear.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if cut.load(Ordering::SeqCst) {
                    continue;
                }
                let (target, changed) = (target.clone(), changed.clone());
                let ear = ear.clone();
                tokio::spawn(async move {
                    tokio::select! {
                        () = target.join(client, &ear) => {}
                        () = changed.notified() => {}
                    }
                });
            }
        });
        line
    }

    /// Break every connection and take no new one.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// Waits until so many more statements have been sent.
    pub(crate) async fn more(&self, count: usize) {
        let mut asked = self.ear.asked.subscribe();
        let wanted = *asked.borrow() + count;
        let all = asked.wait_for(|asked| *asked >= wanted);
        let all = tokio::time::timeout(Duration::from_secs(60), all).await;
        assert!(all.is_ok(), "no {count} more statements came");
    }

    /// From now on nothing arrives of what is sent on connections that are open, and nobody is told.
    pub(crate) fn fall_silent(&self) {
        self.ear.silence.notify_waiters();
    }

    /// Falls silent when a connection is next asked whether it is well.
    pub(crate) fn fall_silent_when_touched(&self) {
        self.ear.is_touchy.store(true, Ordering::SeqCst);
    }

    /// Breaks the next connection on which `statement` is prepared as soon as it has sent its commit: the server carries that
    /// out, and its answer is lost.
    pub(crate) fn lose_commit_of(&self, statement: &'static str) {
        *self.ear.ill_fated.lock().unwrap() = Some(statement);
    }

    /// Take connections again.
    pub(crate) fn mend(&self) {
        self.cut.store(false, Ordering::SeqCst);
    }
}

#[derive(Clone)]
struct Target {
    options: sqlx::postgres::PgConnectOptions,
}

impl Target {
    fn of(url: &str) -> Self {
        Self {
            options: url.parse().unwrap(),
        }
    }

    fn through(&self, port: u16) -> String {
        let database = self.options.get_database().unwrap();
        let user = self.options.get_username();
        format!("postgres://{user}@127.0.0.1:{port}/{database}?sslmode=disable")
    }

    async fn join(&self, client: TcpStream, ear: &Ear) {
        let port = self.options.get_port();
        if let Some(folder) = self.options.get_socket() {
            let path = folder.join(format!(".s.PGSQL.{port}"));
            if let Ok(server) = UnixStream::connect(path).await {
                let (answers, questions) = server.into_split();
                forward(client, answers, questions, ear).await;
            }
        } else if let Ok(server) = TcpStream::connect((self.options.get_host(), port)).await {
            let (answers, questions) = server.into_split();
            forward(client, answers, questions, ear).await;
        }
    }
}

/// What a pool sends to learn whether a connection is well.
const TOUCH: &[u8] = b"S\0\0\0\x04";

/// Forwards both ways until one side ends.
async fn forward(
    mut client: TcpStream,
    mut answers: impl AsyncRead + Unpin,
    mut questions: impl AsyncWrite + Unpin,
    ear: &Ear,
) {
    let (mut from_client, mut to_client) = client.split();
    let there = async {
        let mut counter = Counter::default();
        let mut bytes = vec![0; 64 * 1024];
        let mut is_ill_fated = false;
        while let Ok(count) = from_client.read(&mut bytes).await {
            if bytes[..count] == *TOUCH && ear.is_touchy.swap(false, Ordering::SeqCst) {
                ear.silence.notify_waiters();
                std::future::pending::<()>().await;
            }
            if count == 0 || questions.write_all(&bytes[..count]).await.is_err() {
                return;
            }
            if is_ill_fated && contains(&bytes[..count], "COMMIT") {
                return;
            }
            let mut ill_fated = ear.ill_fated.lock().unwrap();
            if ill_fated.is_some_and(|text| contains(&bytes[..count], text)) {
                (*ill_fated, is_ill_fated) = (None, true);
            }
            drop(ill_fated);
            let more = counter.feed(&bytes[..count]);
            ear.asked.send_modify(|asked| *asked += more);
        }
    };
    tokio::select! {
        biased;
        // It stays open.
        () = ear.silence.notified() => std::future::pending().await,
        () = there => {}
        _ = tokio::io::copy(&mut answers, &mut to_client) => {}
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

/// Reads what a client sends: a greeting of length and text, then messages of kind, length and text.
#[derive(Default)]
struct Counter {
    /// Of the message that is being read.
    head: Vec<u8>,
    /// Bytes of it that are still to come.
    rest: usize,
    greeted: bool,
}

impl Counter {
    /// How many statements these bytes ask to execute.
    fn feed(&mut self, mut bytes: &[u8]) -> usize {
        let mut asked = 0;
        while !bytes.is_empty() {
            if self.rest > 0 {
                let skipped = self.rest.min(bytes.len());
                self.rest -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            self.head.push(bytes[0]);
            bytes = &bytes[1..];
            let kind = usize::from(self.greeted);
            if self.head.len() == kind + 4 {
                let length = [
                    self.head[kind],
                    self.head[kind + 1],
                    self.head[kind + 2],
                    self.head[kind + 3],
                ];
                self.rest = u32::from_be_bytes(length) as usize - 4;
                asked += usize::from(self.greeted && matches!(self.head[0], b'Q' | b'E'));
                self.greeted = true;
                self.head.clear();
            }
        }
        asked
    }
}
