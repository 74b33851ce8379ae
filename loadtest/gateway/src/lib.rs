//! A real Envoy, endpoint pickers and simulated engines: the acceptance suite.
//!
//! ```text
//!  Client ──▶ Envoy ──▶ EchoEngine | simulated engines
//!              ⇅ ext_proc            │ events
//!           kvatlas epp ──Score──▶ kvatlas standalone
//! ```
//! Everything under test is a process of its own; `docs/gateway-suite.md` says
//! what is proved with it. The short suite is in `tests/`, the long one is the
//! program's commands.

mod body;
mod client;
mod echo;
mod envoy;
mod index;
mod log;
mod metrics;
mod picker;
mod programs;

pub use body::{Body, Failure, Feeder};
pub use client::{Answer, Client, LIMIT, get, post};
pub use echo::{EchoEngine, Seen};
pub use envoy::{Envoy, EnvoyBinary, Pool, Setup};
pub use index::{Index, IndexSetup};
pub use log::{Log, eventually};
pub use metrics::Metrics;
pub use picker::{Picker, PickerSetup};
pub use programs::Programs;
