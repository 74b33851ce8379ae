//! The roles: what one process runs, alone or with others.
//!
//! ```text
//!  kvatlas ingestor   = ingestor + a store's writer
//!  kvatlas scorer     = scorer   + one or several stores' watches
//!  kvatlas store      = one node of the replicated store
//!  kvatlas epp        = picker   + a pool, scorers' addresses
//!  kvatlas standalone = ingestor + scorer + an embedded store
//! ```

pub(crate) mod backend;
pub(crate) mod epp;
pub(crate) mod ingestor;
mod lifetime;
mod process;
pub(crate) mod reach;
pub(crate) mod scorer;
pub(crate) mod store;

pub(crate) use lifetime::Lifetime;
pub(crate) use process::{BUILD, Up, run};

use std::net::SocketAddr;

use anyhow::{Context, Result};
use tokio::net::TcpListener;

/// The listener's address as it can be dialled on this machine.
pub(crate) fn local_address(listener: &TcpListener, what: &str) -> Result<String> {
    let address = listener.local_addr();
    Ok(dialled(
        address.with_context(|| format!("address of {what}"))?,
    ))
}

/// An address with the loopback interface in the place of "all interfaces".
pub(crate) fn dialled(address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        format!("127.0.0.1:{}", address.port())
    } else {
        address.to_string()
    }
}
