//! Our own way to the database, which can be broken in every way that a network can.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// What becomes of the bytes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// They arrive.
    Flow,
    /// They wait.
    Hold,
    /// They are lost, for ever, and nobody is told: the other side was unplugged.
    Forget,
    /// Both sides are told that it is broken.
    Reset,
    /// This side is told that nothing more comes, and may go on sending.
    HalfClose(Side),
}

/// A side of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

/// Forwards connections to the socket of a database.
#[derive(Debug)]
pub(super) struct Proxy {
    shared: Arc<Shared>,
    port: u16,
    _accept: AbortOnDropHandle<()>,
}

#[derive(Debug)]
struct Shared {
    /// Where connections go.
    socket: Mutex<PathBuf>,
    /// What becomes of new connections.
    newcomers: watch::Sender<Fate>,
    /// What becomes of each that is open.
    open: Mutex<Vec<watch::Sender<Fate>>>,
}

impl Proxy {
    /// A way to the database behind `socket`, on a port of its own of this machine.
    pub(super) async fn to(socket: PathBuf) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            socket: Mutex::new(socket),
            newcomers: watch::Sender::new(Fate::Flow),
            open: Mutex::default(),
        });
        let accept = tokio::spawn(accept(listener, shared.clone()));
        Ok(Self {
            shared,
            port,
            _accept: AbortOnDropHandle::new(accept),
        })
    }

    /// The address of `database` by this way.
    pub(super) fn url(&self, database: &str) -> String {
        let port = self.port;
        format!("postgres://leadmill@127.0.0.1:{port}/{database}?sslmode=disable")
    }

    /// From now on this is the database.
    pub(super) fn lead_to(&self, socket: PathBuf) {
        *lock(&self.shared.socket) = socket;
    }

    /// Decides about every connection that is open.
    pub(super) fn decide(&self, fate: Fate) {
        let mut open = lock(&self.shared.open);
        open.retain(|one| !one.is_closed());
        for one in open.iter() {
            one.send_replace(fate);
        }
    }

    /// Decides about connections to come: they flow, or they are taken and hear nothing until they may flow.
    pub(super) fn decide_newcomers(&self, fate: Fate) {
        self.shared.newcomers.send_replace(fate);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let fate = watch::Sender::new(Fate::Flow);
        let told = fate.subscribe();
        {
            let mut open = lock(&shared.open);
            open.retain(|one| !one.is_closed());
            open.push(fate);
        }
        let shared = shared.clone();
        tokio::spawn(async move {
            let mut newcomers = shared.newcomers.subscribe();
            let may_flow = newcomers.wait_for(|fate| *fate == Fate::Flow).await.is_ok();
            let socket = lock(&shared.socket).clone();
            if may_flow && let Ok(server) = UnixStream::connect(socket).await {
                join(client, server, told).await;
            }
        });
    }
}

async fn join(mut client: TcpStream, mut server: UnixStream, mut told: watch::Receiver<Fate>) {
    let reset = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let there = pump(from_client, to_server, told.clone(), Side::Server);
        let back = pump(from_server, to_client, told.clone(), Side::Client);
        tokio::select! {
            ((), ()) = async { tokio::join!(there, back) } => false,
            told = told.wait_for(|fate| *fate == Fate::Reset) => told.is_ok(),
        }
    };
    if reset {
        // What is closed like this sends a reset.
        let _ = client.set_zero_linger();
    }
}

/// Forwards to `side` until there is nothing more, or what becomes of it was decided.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut told: watch::Receiver<Fate>,
    side: Side,
) {
    let mut bytes = vec![0; 32 * 1024];
    let mut closed = false;
    loop {
        let fate = *told.borrow_and_update();
        match fate {
            Fate::HalfClose(half) if half == side => {
                if !closed {
                    let _ = to.shutdown().await;
                    closed = true;
                }
            }
            Fate::Flow | Fate::HalfClose(_) => {}
            Fate::Hold | Fate::Forget | Fate::Reset => {
                if told.changed().await.is_err() {
                    return;
                }
                continue;
            }
        }
        let count = tokio::select! {
            count = from.read(&mut bytes) => count.unwrap_or(0),
            told = told.changed() => {
                if told.is_err() {
                    return;
                }
                continue;
            }
        };
        // What was read before the decision and would arrive after it is held as well.
        let may_go = told.wait_for(|fate| !matches!(fate, Fate::Hold | Fate::Forget));
        if count == 0 || may_go.await.is_err() {
            let _ = to.shutdown().await;
            return;
        }
        if !closed && to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

/// No code panics while it holds one of these.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
