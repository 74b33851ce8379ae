//! Configuration: one YAML file, then the environment, then the command line.
//!
//! The shape of the configuration is an ordinary serde type with
//! `#[serde(default)]`. Reading it never stops at the first mistake: a wrong
//! value is noted, replaced by its default, and reading goes on, so that a
//! user mends a file once. Two serde features hide keys from this reader and
//! should be left out of configuration types, or be given
//! `#[serde(deny_unknown_fields)]`: internally tagged enums and `flatten`.

mod address;
mod key_path;
mod layers;
mod lines;
mod mistakes;
mod read_error;
mod reader;
mod repair;
mod sources;
mod units;

pub use address::{BindError, ListenAddress, ListenAddressError};
pub use key_path::{KeyPath, KeyPathError};
pub use mistakes::{ConfigErrors, Mistake, Mistakes, Origin};
pub use sources::{ENV_PREFIX, MAX_DEPTH, MAX_FILE_BYTES, Sources, load, to_yaml};
pub use units::{ByteSize, ByteSizeError, HumanDuration, HumanDurationError};
