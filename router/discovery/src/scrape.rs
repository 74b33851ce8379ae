//! How busy the engines are, from their `/metrics`.
//!
//! ```text
//!  PoolView ──▶ Scraper ──one poll per endpoint──▶ GET /metrics ──▶ lines ──▶ Loads ◀── readers
//! ```
//! An endpoint that does not answer stays in the pool: whether it is ready is
//! for the pool to say. Its load is then unknown, and readers are told so.

mod fetch;
mod labels;
mod loads;
mod mistake;
mod poll;
mod settings;
#[cfg(test)]
mod tests;
mod text;

pub use loads::{EngineLoad, LoadCounters, Loads};
pub use mistake::LoadMistake;
pub use poll::Scraper;
pub use settings::{ScrapeMistake, ScrapeSettings};
