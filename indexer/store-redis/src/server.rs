//! Whether the server is fit for it.

use crate::error::{ConnectError, LinkError};
use crate::link::Link;

/// The oldest version that is known to work.
const VERSION_MIN: u64 = 7;

/// Checks the version and what the server does when its memory is full.
pub(crate) async fn check(link: &Link) -> Result<(), ConnectError> {
    let info: String = link.command(&redis::cmd("INFO")).await?;
    let field = |name: &str| {
        let value = |line: &str| {
            line.strip_prefix(name)?
                .strip_prefix(':')
                .map(str::to_owned)
        };
        info.lines().find_map(value)
    };
    // Valkey gives both; its redis_version says what it is compatible with.
    let version = field("redis_version").unwrap_or_default();
    let major = version
        .split('.')
        .next()
        .and_then(|major| major.parse().ok());
    if major.is_none_or(|major: u64| major < VERSION_MIN) {
        return Err(ConnectError::Version { version });
    }
    let policy = field("maxmemory_policy").unwrap_or_default();
    if policy.starts_with("allkeys-") && field("maxmemory").is_some_and(|most| most != "0") {
        return Err(ConnectError::Eviction { policy });
    }
    if field("aof_enabled").as_deref() == Some("0") {
        tracing::warn!(
            "Redis has no append-only file: after a restart it is as old as its last snapshot, and the engines' latest events are asked for again or said to be lost; set appendonly yes"
        );
    }
    Ok(())
}

impl From<LinkError> for ConnectError {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Damaged(what) => Self::Damaged { what },
            LinkError::Form { what } => Self::Damaged {
                what: what.to_owned(),
            },
            LinkError::Redis(reason) => Self::Unreachable { reason },
        }
    }
}
