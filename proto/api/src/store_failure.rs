//! Failures of the store's two calls, to a status and back.
//!
//! | failure | code | metadata |
//! |---|---|---|
//! | `Invalid` | `INVALID_ARGUMENT` | `kvatlas-field` |
//! | `TooLarge` | `RESOURCE_EXHAUSTED` | `kvatlas-reason: too-large`, `kvatlas-bytes`, `kvatlas-limit` |
//! | `Busy` | `RESOURCE_EXHAUSTED` | |
//! | `NotLeader` | `FAILED_PRECONDITION` | `kvatlas-reason: not-leader`, `kvatlas-leader` if known |
//! | `Lagged` | `ABORTED` | `kvatlas-reason: lagged`, `kvatlas-revision` |
//! | `Unavailable` | `UNAVAILABLE` | |
//! | `Closed` | `UNAVAILABLE` | `kvatlas-reason: closed` |

use proto_model::Revision;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::{Code, Status};

use crate::failure::FIELD_KEY;
use crate::{InvalidBatch, limits};

const REASON: &str = "kvatlas-reason";
const LEADER: &str = "kvatlas-leader";
const BYTES: &str = "kvatlas-bytes";
const LIMIT: &str = "kvatlas-limit";
const REVISION: &str = "kvatlas-revision";

/// Why an append or a watch failed, as the wire tells it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreFailure {
    /// The request is not as the contract has it; it will always fail.
    #[error("invalid request: {message}")]
    Invalid {
        /// The field at fault, if one is.
        field: Option<String>,
        /// What is wrong with it.
        message: String,
    },
    /// The batch is larger than the store takes.
    #[error("{bytes} bytes exceed the limit of {limit}; split the batch")]
    TooLarge {
        /// How large it is.
        bytes: u64,
        /// The limit; 0 if it was not told.
        limit: u64,
    },
    /// Too much is under way here; the same may succeed a moment later.
    #[error("{message}")]
    Busy {
        /// What there is too much of.
        message: String,
    },
    /// This node does not take batches.
    #[error("not the leader{}", hint(.leader.as_deref()))]
    NotLeader {
        /// The leader's `host:port`, if it is known.
        leader: Option<String>,
    },
    /// The reader was too slow.
    #[error("fell behind at revision {}; watch again", at.0)]
    Lagged {
        /// The last revision that was delivered.
        at: Revision,
    },
    /// This node cannot serve it now; another may.
    #[error("{message}")]
    Unavailable {
        /// What was seen.
        message: String,
    },
    /// This node will not serve it again; another may.
    #[error("{message}")]
    Closed {
        /// Why.
        message: String,
    },
}

fn hint(leader: Option<&str>) -> String {
    leader.map_or_else(String::new, |leader| format!("; it is {leader}"))
}

impl StoreFailure {
    /// A short name for metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "invalid",
            Self::TooLarge { .. } => "too_large",
            Self::Busy { .. } => "busy",
            Self::NotLeader { .. } => "not_leader",
            Self::Lagged { .. } => "lagged",
            Self::Unavailable { .. } => "unavailable",
            Self::Closed { .. } => "closed",
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Invalid { .. } => Code::InvalidArgument,
            Self::TooLarge { .. } | Self::Busy { .. } => Code::ResourceExhausted,
            Self::NotLeader { .. } => Code::FailedPrecondition,
            Self::Lagged { .. } => Code::Aborted,
            Self::Unavailable { .. } | Self::Closed { .. } => Code::Unavailable,
        }
    }
}

impl From<InvalidBatch> for StoreFailure {
    fn from(invalid: InvalidBatch) -> Self {
        match invalid {
            InvalidBatch::TooLarge { limit } => Self::TooLarge {
                bytes: limit as u64 + 1,
                limit: limit as u64,
            },
            InvalidBatch::Field { ref field, .. } => Self::Invalid {
                field: Some(field.clone()),
                message: invalid.to_string(),
            },
        }
    }
}

impl From<StoreFailure> for Status {
    fn from(failure: StoreFailure) -> Self {
        let mut status = Self::new(failure.code(), failure.to_string());
        let metadata = status.metadata_mut();
        match failure {
            StoreFailure::Invalid { field, .. } => {
                if let Some(field) = field {
                    put(metadata, FIELD_KEY, &field);
                }
            }
            StoreFailure::TooLarge { bytes, limit } => {
                put(metadata, REASON, "too-large");
                put(metadata, BYTES, &bytes.to_string());
                put(metadata, LIMIT, &limit.to_string());
            }
            StoreFailure::NotLeader { leader } => {
                put(metadata, REASON, "not-leader");
                if let Some(leader) = leader {
                    put(metadata, LEADER, &leader);
                }
            }
            StoreFailure::Lagged { at } => {
                put(metadata, REASON, "lagged");
                put(metadata, REVISION, &at.0.to_string());
            }
            StoreFailure::Closed { .. } => put(metadata, REASON, "closed"),
            StoreFailure::Busy { .. } | StoreFailure::Unavailable { .. } => {}
        }
        status
    }
}

/// What no header can hold is left out: the text of the status has it all.
fn put(metadata: &mut MetadataMap, key: &'static str, value: &str) {
    if let Ok(value) = MetadataValue::<Ascii>::try_from(value) {
        metadata.insert(key, value);
    }
}

impl From<&Status> for StoreFailure {
    fn from(status: &Status) -> Self {
        let get = |key| status.metadata().get(key)?.to_str().ok();
        let number = |key| get(key).and_then(|text| text.parse::<u64>().ok());
        let message = || status.message().to_owned();
        match (status.code(), get(REASON)) {
            (Code::FailedPrecondition, Some("not-leader")) => Self::NotLeader {
                leader: get(LEADER)
                    .filter(|text| is_address(text))
                    .map(str::to_owned),
            },
            (Code::ResourceExhausted, Some("too-large")) => Self::TooLarge {
                bytes: number(BYTES).unwrap_or_default(),
                limit: number(LIMIT).unwrap_or_default(),
            },
            (Code::ResourceExhausted, _) => Self::Busy { message: message() },
            // What gRPC itself says of a message beyond the server's limit.
            (Code::OutOfRange, _) => Self::TooLarge { bytes: 0, limit: 0 },
            (Code::Aborted, Some("lagged")) => Self::Lagged {
                at: Revision(number(REVISION).unwrap_or_default()),
            },
            (Code::InvalidArgument, _) => Self::Invalid {
                field: get(FIELD_KEY).map(str::to_owned),
                message: message(),
            },
            (Code::Unavailable, Some("closed")) => Self::Closed { message: message() },
            (code, _) => Self::Unavailable {
                message: format!("{code:?}: {}", status.message()),
            },
        }
    }
}

/// Whether a text can be `host:port`. It comes from another process and becomes
/// a place to connect to.
fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
    !host.is_empty()
        && host.len() <= limits::HOST_BYTES
        && host.chars().all(plain)
        && port.parse::<u16>().is_ok_and(|port| port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_survives_the_wire() {
        let text = || "what".to_owned();
        for failure in [
            StoreFailure::TooLarge { bytes: 9, limit: 7 },
            StoreFailure::Busy { message: text() },
            StoreFailure::NotLeader { leader: None },
            StoreFailure::NotLeader {
                leader: Some("node-1.store:7400".to_owned()),
            },
            StoreFailure::NotLeader {
                leader: Some("[::1]:7400".to_owned()),
            },
            StoreFailure::Lagged {
                at: Revision(u64::MAX),
            },
            StoreFailure::Closed { message: text() },
        ] {
            let status = Status::from(failure.clone());
            assert_eq!(StoreFailure::from(&status), failure);
        }
        let invalid = StoreFailure::Invalid {
            field: Some("commands[0]".to_owned()),
            message: text(),
        };
        let StoreFailure::Invalid { field, message } = StoreFailure::from(&Status::from(invalid))
        else {
            panic!("invalid stays invalid");
        };
        assert_eq!(field.as_deref(), Some("commands[0]"));
        assert!(message.contains("what"), "{message}");
    }

    #[test]
    fn what_is_no_address_is_no_hint() {
        for text in [
            "",
            "host",
            ":7400",
            "host:0",
            "host:65536",
            "host:x",
            "ho st:1",
            "a/b:1",
            "u@h:1",
        ] {
            let status = Status::from(StoreFailure::NotLeader {
                leader: Some(text.to_owned()),
            });
            let read = StoreFailure::from(&status);
            assert_eq!(read, StoreFailure::NotLeader { leader: None }, "{text}");
        }
    }

    #[test]
    fn foreign_statuses_are_unavailable() {
        for code in [
            Code::Internal,
            Code::Unknown,
            Code::Cancelled,
            Code::DeadlineExceeded,
        ] {
            let read = StoreFailure::from(&Status::new(code, "what"));
            assert!(matches!(read, StoreFailure::Unavailable { .. }), "{code:?}");
        }
    }
}
