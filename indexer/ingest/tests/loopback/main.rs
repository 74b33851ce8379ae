//! The whole ingestor on loopback, against sockets that were not written here:
//! libzmq (through pyzmq) and the zeromq crate.
//!
//! Needs a Python with pyzmq and msgpack: `KVATLAS_PYTHON`, else `python3`.

mod engine;
mod faults;
mod many;
mod order;
mod recordings;
mod support;
