//! Connections for appends, one per node, kept.

use std::collections::HashMap;

use parking_lot::Mutex;
use tonic::transport::Channel;

use super::options::{InvalidAddress, RemoteOptions};

/// Connections kept at a time. More nodes than that are no store of ours; what
/// hints made up is forgotten.
const CHANNELS_MAX: usize = 64;

/// Connections by address.
#[derive(Debug, Default)]
pub(super) struct Channels {
    open: Mutex<HashMap<String, Channel>>,
}

impl Channels {
    /// A connection to the node, made when it is first used.
    pub(super) fn to(
        &self,
        address: &str,
        options: &RemoteOptions,
    ) -> Result<Channel, InvalidAddress> {
        let mut open = self.open.lock();
        if let Some(channel) = open.get(address) {
            return Ok(channel.clone());
        }
        let channel = options.endpoint(address)?.connect_lazy();
        if open.len() >= CHANNELS_MAX {
            open.clear();
        }
        open.insert(address.to_owned(), channel.clone());
        Ok(channel)
    }

    /// Lets the connection go: it may be dead without having said so.
    pub(super) fn forget(&self, address: &str) {
        let forgotten = self.open.lock().remove(address);
        drop(forgotten);
    }
}
