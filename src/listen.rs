//! The address that a process answers on: the one that was asked for, or the first free one after the usual.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;
use tracing::info;

/// Ports tried after one that is taken, if nobody asked for it.
const MORE_PORTS: u16 = 20;

/// Why a process cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address cannot be had.
    #[error("cannot listen on {address}: {source}")]
    Refused {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Nor can any of those after it.
    #[error("all ports from {first} to {last} are taken; name another address with --listen")]
    AllTaken {
        /// The usual address.
        first: SocketAddr,
        /// The last that was tried.
        last: SocketAddr,
    },
}

/// Listens on `address` and on no other.
pub async fn on(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|source| ListenError::Refused { address, source })
}

/// Listens on the first free port from the one of `usual` on; says which, if it is another one.
pub async fn near(usual: SocketAddr) -> Result<TcpListener, ListenError> {
    let mut address = usual;
    for port in usual.port()..=usual.port().saturating_add(MORE_PORTS) {
        address.set_port(port);
        match on(address).await {
            Err(ListenError::Refused { source, .. })
                if source.kind() == io::ErrorKind::AddrInUse => {}
            Ok(listener) => {
                if address != usual {
                    info!("{usual} is taken, {address} is used instead");
                }
                return Ok(listener);
            }
            refused => return refused,
        }
    }
    Err(ListenError::AllTaken {
        first: usual,
        last: address,
    })
}
