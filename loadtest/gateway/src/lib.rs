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
mod fleet;
mod gateway;
mod index;
mod load;
mod log;
mod manifests;
mod metrics;
mod picker;
mod programs;
mod proxy;
mod report;
mod rounds;
mod steady;
mod usage;

pub use body::{Body, Failure, Feeder};
pub use client::{Answer, Client, LIMIT, get, post};
pub use echo::{EchoEngine, Seen};
pub use envoy::{Envoy, EnvoyBinary, Plain, Pool, Setup};
pub use fleet::Fleet;
pub use gateway::{Gateway, GatewaySetup};
pub use index::{Index, IndexSetup};
pub use load::{Load, MakeBody, Outcome};
pub use log::{Log, eventually};
pub use manifests::{Manifests, Mode, Model};
pub use metrics::Metrics;
pub use picker::{Picker, PickerSetup};
pub use programs::Programs;
pub use proxy::Proxy;
pub use report::Report;
pub use rounds::{round_one, round_two};
pub use steady::{MakeRequest, Observed, Steady};
pub use usage::{machine, open_files, processor_seconds};
