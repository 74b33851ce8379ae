//! The part of ZMTP 3.0 that an ingestor needs, with a limit on everything.
//!
//! An ingestor listens to whoever connects, so nothing that a peer sends may
//! make it allocate without bound, block it, or end the process. The protocol
//! spoken here is ZMTP 3.0 with the NULL mechanism over TCP
//! (<https://rfc.zeromq.org/spec/23/>): a SUB that binds or connects, and a
//! DEALER that asks. `docs/adr/0003-own-zmtp-reader.md` says why it is ours.

mod budget;
mod connection;
mod error;
mod frame;
mod handshake;

pub(crate) use budget::{Budget, Room};
pub(crate) use connection::{Connection, Received};
pub(crate) use error::ZmtpError;

pub(crate) use frame::{Decoder, Item, Limits};
pub(crate) use handshake::SocketType;
