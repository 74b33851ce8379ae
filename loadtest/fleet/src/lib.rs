//! The documented fleet benchmark in virtual time: hours in seconds, the same
//! every time.
//!
//! ```text
//!  Workload ─▶ Path ─▶ Router ──────────▶ engines (loadtest-engine-sim)
//!  stages      client   │ ▲ pick           │        │
//!                       │ └── loads ◀──────┘ scrape │ KV events, a delay later
//!                       └──▶ Map: indexer-state ─▶ scorer-index ◀──┘
//! ```
//! State, index, picker and block keys are the ones that run in production; the
//! engines, the way of a request and the clock are simulated. Nothing depends on
//! the machine: equal options give equal reports. `docs/fleet.md` has the inputs,
//! where each is from, and the outcome.

mod books;
mod calibration;
mod figures;
mod fleet;
mod map;
mod options;
mod path;
mod plot;
mod policy;
mod published;
mod queue;
mod report;
mod request;
mod router;
mod rules;
mod strategy;
mod table;
mod wall;
mod workload;

pub use calibration::{CalibrationError, FleetCalibration, PathCalibration};
pub use figures::{Spread, StageFigures, Totals};
pub use fleet::{Fleet, FleetError, Progress};
pub use options::{FleetOptions, OptionError};
pub use plot::{PlotError, plot};
pub use policy::{PolicyChange, PolicyChangeError};
pub use published::{Published, PublishedRun};
pub use report::{Comparison, Report, StrategyReport, Summary, run};
pub use strategy::Strategy;
pub use table::{by_stage, summary};
pub use wall::{Side, Told, WallOptions, WallPrograms, WallReport, WallRun, wall, wall_table};
pub use workload::{Stage, StageError, Workload};
