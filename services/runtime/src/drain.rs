//! From the first role's start to an orderly end.
//!
//! SIGTERM or SIGINT (or the end of any role) cancels the token that every
//! role holds; roles then have the grace period to finish. A second signal
//! ends the process at once.

mod roles;
mod signals;

pub use roles::{RoleError, Roles, ServeError};
pub use signals::{FORCED_EXIT_CODE, SignalError, cancel_on_signal};
