//! A line to the database that a test can cut and mend.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::Notify;

/// Forwards connections to the database until it is cut.
pub struct Line {
    /// The database by way of this line.
    pub url: String,
    cut: Arc<AtomicBool>,
    changed: Arc<Notify>,
}

impl Line {
    /// A line to the database at `url`, which names a folder with a socket or a host with a port.
    pub async fn to(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let target = Target::of(url);
        let line = Self {
            url: target.through(port),
            cut: Arc::default(),
            changed: Arc::default(),
        };
        let (cut, changed) = (line.cut.clone(), line.changed.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if cut.load(Ordering::SeqCst) {
                    continue;
                }
                let (target, changed) = (target.clone(), changed.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        () = target.join(client) => {}
                        () = changed.notified() => {}
                    }
                });
            }
        });
        line
    }

    /// Break every connection and take no new one.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// Take connections again.
    pub fn mend(&self) {
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

    async fn join(&self, mut client: TcpStream) {
        let port = self.options.get_port();
        if let Some(folder) = self.options.get_socket() {
            let path = folder.join(format!(".s.PGSQL.{port}"));
            if let Ok(mut server) = UnixStream::connect(path).await {
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            }
        } else if let Ok(mut server) = TcpStream::connect((self.options.get_host(), port)).await {
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        }
    }
}
