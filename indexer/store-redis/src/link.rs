//! The way to the one server that holds the prefix's keys.
//!
//! All keys are on one node, so there is nothing to route: whatever the topology,
//! the node is looked up, connected, and looked up again when it refuses, moves
//! or falls silent.

mod answer;
mod locate;
mod tls;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, Pipeline, ScriptInvocation};

pub(crate) use answer::{Answer, Fields, flat_pairs};
pub(crate) use tls::check as check_tls;

use crate::error::LinkError;
use crate::options::RedisOptions;

/// A connection to the server in force, made when it is needed. Clones share it.
#[derive(Clone)]
pub(crate) struct Link {
    shared: Arc<Shared>,
}

struct Shared {
    options: Arc<RedisOptions>,
    current: Mutex<Option<Connected>>,
    /// One connects; the others wait for it.
    connecting: tokio::sync::Mutex<()>,
    /// What a reply may take beyond the command's own time.
    patience: Duration,
    /// Connections made so far, to tell one from the next.
    connects: AtomicU64,
}

#[derive(Clone)]
struct Connected {
    number: u64,
    connection: MultiplexedConnection,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Options hold passwords.
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

impl Link {
    /// A link whose commands may wait on the server for as long as `blocking`.
    pub(crate) fn new(options: Arc<RedisOptions>, blocking: Duration) -> Self {
        let patience = options.command_timeout + blocking;
        Self {
            shared: Arc::new(Shared {
                options,
                current: Mutex::new(None),
                connecting: tokio::sync::Mutex::new(()),
                patience,
                connects: AtomicU64::new(0),
            }),
        }
    }

    /// Runs a script and gives its answer.
    pub(crate) async fn script(
        &self,
        invocation: &ScriptInvocation<'_>,
    ) -> Result<Answer, LinkError> {
        let mut connected = self.connected().await?;
        let answered = invocation.invoke_async(&mut connected.connection).await;
        self.seen(&connected, answered)
    }

    /// Runs one command.
    pub(crate) async fn command<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, LinkError> {
        let mut connected = self.connected().await?;
        let answered = command.query_async(&mut connected.connection).await;
        self.seen(&connected, answered)
    }

    /// Runs several commands in one exchange.
    pub(crate) async fn commands<T: FromRedisValue>(
        &self,
        commands: &Pipeline,
    ) -> Result<T, LinkError> {
        let mut connected = self.connected().await?;
        let answered = commands.query_async(&mut connected.connection).await;
        self.seen(&connected, answered)
    }

    /// Lets the connection go; the next command looks the server up anew.
    pub(crate) fn disconnect(&self) {
        *self.shared.current.lock() = None;
    }

    async fn connected(&self) -> Result<Connected, LinkError> {
        if let Some(connected) = self.current() {
            return Ok(connected);
        }
        let _one = self.shared.connecting.lock().await;
        if let Some(connected) = self.current() {
            return Ok(connected);
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.shared.options.command_timeout))
            .set_response_timeout(Some(self.shared.patience));
        let looked_up = locate::master(&self.shared.options, &config);
        let limit = 3 * self.shared.options.command_timeout;
        let connection = tokio::time::timeout(limit, looked_up)
            .await
            .map_err(|_| LinkError::Redis(format!("no server found within {limit:?}")))??;
        let number = self.shared.connects.fetch_add(1, Ordering::Relaxed) + 1;
        let connected = Connected { number, connection };
        *self.shared.current.lock() = Some(connected.clone());
        Ok(connected)
    }

    fn current(&self) -> Option<Connected> {
        self.shared.current.lock().clone()
    }

    /// Gives up the connection if what came back says that it is of no use.
    fn seen<T>(&self, used: &Connected, answered: redis::RedisResult<T>) -> Result<T, LinkError> {
        answered.map_err(|error| {
            if !is_refusal_only(&error) {
                let mut current = self.shared.current.lock();
                if current
                    .as_ref()
                    .is_some_and(|now| now.number == used.number)
                {
                    *current = None;
                }
            }
            error.into()
        })
    }
}

/// Whether the server is the right one and only would not do this now.
fn is_refusal_only(error: &redis::RedisError) -> bool {
    matches!(
        error.code(),
        Some("OOM" | "ERR" | "BUSY" | "NOPERM" | "NOREPLICAS")
    )
}
