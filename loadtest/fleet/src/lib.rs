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
//! engines, the way of a request and the clock are simulated. Nothing but costs, if
//! they are measured, depends on the machine: equal options give equal reports.
//! `docs/fleet.md` has the inputs, where each is from, and the outcome.

mod books;
mod calibration;
mod decisions;
mod figures;
mod fleet;
mod map;
mod options;
mod parts;
mod path;
mod plot;
mod policy;
mod published;
mod queue;
mod report;
mod request;
mod router;
mod rules;
mod seeds;
mod strategy;
mod table;
mod wall;
mod workload;

pub use calibration::{CalibrationError, FleetCalibration, PathCalibration};
pub use decisions::{Costs, Decisions};
pub use figures::{Spread, StageFigures, Totals};
pub use fleet::{Fleet, FleetError, FleetOutcome, Progress};
pub use map::IndexFigures;
pub use options::{FleetOptions, OptionError};
pub use parts::TtftParts;
pub use plot::{PlotError, plot};
pub use policy::{PolicyChange, PolicyChangeError};
pub use published::{Published, PublishedRun};
pub use report::{Comparison, Report, StrategyReport, Summary, run};
pub use rules::PublishedScorer;
pub use seeds::{Range, SeedSpread, SeedsReport, by_seed};
pub use strategy::Strategy;
pub use table::{by_stage, costs, parts, summary};
pub use wall::{Side, Told, WallOptions, WallPrograms, WallReport, WallRun, wall, wall_table};
pub use workload::{Stage, StageError, Workload};
