//! Sockets to the queue: one task per connection, which also decodes.

mod accept;
mod dial;
mod intake;
mod receive;

pub(crate) use accept::{bind, serve};
pub(crate) use dial::keep_connected;
pub(crate) use intake::{Inbound, Intake, Live, intake};
pub(crate) use receive::{FRAMES, SocketContext};
