//! The simulated engine: by itself, and from outside over real sockets.

mod client;
mod events;
mod faults;
mod openai;
mod process;
mod recordings;
mod scheduler;
mod streams;
mod virtual_time;
