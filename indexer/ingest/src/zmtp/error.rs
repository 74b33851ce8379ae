//! What can be wrong with a peer.

use std::io;

/// Why a connection was given up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ZmtpError {
    /// The TCP connection failed.
    #[error("connection failed")]
    Io(#[from] io::Error),
    /// The peer closed the connection between two messages.
    #[error("peer closed the connection")]
    Closed,
    /// The peer closed the connection within a message.
    #[error("peer closed the connection within a message")]
    Truncated,
    /// No handshake in time.
    #[error("no ZMTP handshake within {seconds} s")]
    HandshakeTimeout {
        /// The time allowed.
        seconds: u64,
    },
    /// A message was begun and not finished in time.
    #[error("message of {bytes} bytes or more not finished within {seconds} s")]
    MessageTimeout {
        /// Bytes announced so far.
        bytes: usize,
        /// The time allowed.
        seconds: u64,
    },
    /// The peer does not take what it is sent.
    #[error("peer takes nothing for {seconds} s")]
    WriteTimeout {
        /// The time allowed.
        seconds: u64,
    },
    /// The first bytes are no ZMTP greeting.
    #[error("not a ZMTP greeting; is the peer a ZeroMQ socket?")]
    Greeting,
    /// An older protocol than 3.0.
    #[error("peer speaks ZMTP {major}; 3.0 or newer is needed")]
    Version {
        /// The peer's major version.
        major: u8,
    },
    /// The peer wants another security mechanism.
    #[error("peer asks for another security mechanism than NULL")]
    Mechanism,
    /// The peer is a socket that does not fit.
    #[error("peer is a {seen:?} socket; expected {expected}")]
    SocketType {
        /// What the peer said, at most 16 characters.
        seen: String,
        /// What fits.
        expected: &'static str,
    },
    /// A command with impossible lengths, or an ERROR command.
    #[error("malformed or unexpected command")]
    Command,
    /// Reserved flag bits are set, or a command has a MORE flag.
    #[error("frame flags {flags:#04x} are not valid")]
    Flags {
        /// The flags byte.
        flags: u8,
    },
    /// A message or command larger than the limit.
    #[error("message or command of at least {bytes} bytes exceeds the limit of {limit}")]
    TooLarge {
        /// Bytes announced so far.
        bytes: u64,
        /// The limit.
        limit: usize,
    },
    /// A message with too many frames.
    #[error("message has more than {limit} frames")]
    TooManyFrames {
        /// The limit.
        limit: usize,
    },
}

impl ZmtpError {
    /// A short label for metrics; bounded in number.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Io(_) => "io",
            Self::Closed => "closed",
            Self::Truncated => "truncated",
            Self::HandshakeTimeout { .. } => "handshake_timeout",
            Self::MessageTimeout { .. } | Self::WriteTimeout { .. } => "message_timeout",
            Self::Greeting | Self::Version { .. } | Self::Mechanism => "greeting",
            Self::SocketType { .. } => "socket_type",
            Self::Command | Self::Flags { .. } => "protocol",
            Self::TooLarge { .. } | Self::TooManyFrames { .. } => "too_large",
        }
    }
}
