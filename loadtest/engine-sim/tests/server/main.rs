//! The simulated engine from outside, over real sockets.

mod client;
mod events;
mod faults;
mod openai;
mod streams;
