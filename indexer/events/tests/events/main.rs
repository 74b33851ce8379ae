//! What engines send, and what nobody should.

mod differential;
mod errors;
mod fabric;
mod forms;
mod frames;
mod golden;
mod hostile;
mod noise;
mod recordings;
mod reference;
mod roundtrip;
mod topics;
mod visits;
