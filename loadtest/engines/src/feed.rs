//! A publisher whose messages were made beforehand.

use anyhow::Result;
use bytes::Bytes;

use crate::engine::Engine;
use crate::outlet::Outlet;

/// One publisher that sends what it is given: for runs in which making messages
/// must cost nothing.
pub struct Feed {
    /// `ip:port`, as requests would be routed to it.
    pub address: String,
    /// The sequence of the next message.
    pub sequence: u64,
    outlet: Outlet,
    topic: Bytes,
}

impl Feed {
    /// Connects to a subscriber that binds, and waits for its subscription.
    ///
    /// # Errors
    /// If the subscriber cannot be reached.
    pub async fn connect(subscriber: &str, number: usize, model: &str) -> Result<Self> {
        let address = Engine::address_of(number);
        Ok(Self {
            outlet: Outlet::connect(subscriber).await?,
            topic: Bytes::from(format!("kv@{address}@{model}")),
            address,
            sequence: 0,
        })
    }

    /// Sends the next message. Waits where the subscriber does not read.
    ///
    /// # Errors
    /// If the connection is gone.
    pub async fn publish(&mut self, payload: Bytes) -> Result<()> {
        self.outlet
            .publish(&self.topic, self.sequence, payload)
            .await?;
        self.sequence += 1;
        Ok(())
    }
}
