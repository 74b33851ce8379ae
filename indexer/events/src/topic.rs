//! Topics that name an endpoint and a model: `kv@<ip[:port]>@<model>`.

use std::net::Ipv6Addr;

use proto_model::{Endpoint, EndpointError};

/// What every topic that names an endpoint begins with; also the right
/// subscription filter.
pub const TOPIC_PREFIX: &str = "kv@";

/// Longest accepted model name, in bytes.
const MODEL_LIMIT: usize = 512;

/// What a topic says about its publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic<'a> {
    /// The empty topic: who publishes must be known from the configuration.
    Unnamed,
    /// An endpoint and the base model that it serves.
    Endpoint {
        /// `ip` or `ip:port`, as the engine was told; a valid part of a
        /// [`proto_model::Endpoint`].
        address: &'a str,
        /// The model's name; may contain `/` and `@`.
        model: &'a str,
    },
}

/// Which part of a topic is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// It does not begin with `kv@`.
    #[error("topic begins with {found:?}; set the engine's topic to kv@<ip[:port]>@<model>")]
    Prefix {
        /// Its first characters, 32 at most.
        found: String,
    },
    /// There is no second `@`.
    #[error("topic {TOPIC_PREFIX}{address} names no model; append @<model>")]
    ModelMissing {
        /// The address that it names, cut to 64 characters.
        address: String,
    },
    /// The model is empty.
    #[error("topic model is empty; append the served model's name after the second @")]
    ModelEmpty,
    /// The model is too long to be one.
    #[error("topic model has {bytes} bytes; at most {MODEL_LIMIT} are accepted")]
    ModelTooLong {
        /// Its length.
        bytes: usize,
    },
    /// The model contains a character that no name has.
    #[error("topic model contains {found:?}; control characters are not accepted")]
    ModelCharacter {
        /// The first such character.
        found: char,
    },
    /// The address is empty or has characters that no address has.
    #[error("topic address: {0}")]
    Address(#[from] EndpointError),
    /// A bracket without its partner, or something other than a port after it.
    #[error("topic address has unpaired brackets; write IPv6 with a port as [ip]:port")]
    Brackets,
    /// Between the brackets stands no IPv6 address.
    #[error("topic address {found:?} is no IPv6 address")]
    Ipv6 {
        /// What stands there.
        found: String,
    },
    /// What follows the colon is no port.
    #[error("topic port is {found:?}; expected 1 to 65535")]
    Port {
        /// What stands there.
        found: String,
    },
}

impl<'a> Topic<'a> {
    /// Reads a topic.
    ///
    /// An address never contains `@`, so everything after the second one is the
    /// model's name.
    pub fn parse(topic: &'a str) -> Result<Self, TopicError> {
        if topic.is_empty() {
            return Ok(Self::Unnamed);
        }
        let rest = topic
            .strip_prefix(TOPIC_PREFIX)
            .ok_or_else(|| TopicError::Prefix {
                found: topic.chars().take(32).collect(),
            })?;
        let (address, model) = rest
            .split_once('@')
            .ok_or_else(|| TopicError::ModelMissing {
                address: rest.chars().take(64).collect(),
            })?;
        check_address(address)?;
        check_model(model)?;
        Ok(Self::Endpoint { address, model })
    }
}

fn check_model(model: &str) -> Result<(), TopicError> {
    if model.is_empty() {
        return Err(TopicError::ModelEmpty);
    }
    if model.len() > MODEL_LIMIT {
        return Err(TopicError::ModelTooLong { bytes: model.len() });
    }
    match model.chars().find(|c| c.is_control()) {
        Some(found) => Err(TopicError::ModelCharacter { found }),
        None => Ok(()),
    }
}

fn check_address(address: &str) -> Result<(), TopicError> {
    // The vocabulary decides which characters an address may have at all.
    Endpoint::new("default", address)?;
    if let Some(rest) = address.strip_prefix('[') {
        let (ip, port) = rest.split_once(']').ok_or(TopicError::Brackets)?;
        check_ipv6(ip)?;
        return match port.strip_prefix(':') {
            Some(port) => check_port(port),
            None if port.is_empty() => Ok(()),
            None => Err(TopicError::Brackets),
        };
    }
    if address.contains(['[', ']']) {
        return Err(TopicError::Brackets);
    }
    match address.matches(':').count() {
        0 => Ok(()),
        1 => check_host_and_port(address),
        _ => check_ipv6(address),
    }
}

fn check_host_and_port(address: &str) -> Result<(), TopicError> {
    let (host, port) = address.split_once(':').unwrap_or((address, ""));
    Endpoint::new("default", host)?;
    check_port(port)
}

fn check_ipv6(text: &str) -> Result<(), TopicError> {
    // A zone such as %eth0 may follow a link-local address.
    let ip = text.split_once('%').map_or(text, |(ip, _)| ip);
    match ip.parse::<Ipv6Addr>() {
        Ok(_) => Ok(()),
        Err(_) => Err(TopicError::Ipv6 {
            found: text.to_owned(),
        }),
    }
}

fn check_port(text: &str) -> Result<(), TopicError> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(port) if digits && port > 0 => Ok(()),
        _ => Err(TopicError::Port {
            found: text.to_owned(),
        }),
    }
}
