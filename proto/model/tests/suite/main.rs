//! Block keys against what real engines and independent code say.

mod content_golden;
mod edges;
mod engine_golden;
mod payload;
mod properties;
mod recorded;
mod text_golden;
