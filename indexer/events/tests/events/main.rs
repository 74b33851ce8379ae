//! What engines send, and what nobody should.

mod errors;
mod fabric;
mod forms;
mod frames;
mod golden;
mod hostile;
mod recordings;
mod roundtrip;
mod topics;
mod visits;
