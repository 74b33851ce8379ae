//! The Jinja environment of `transformers`: its settings, filters and globals.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value};

use super::error::Raised;
use super::{filters, methods, python, strftime};
use crate::limits::RenderLimits;

/// What `strftime_now` reads: the engine's wall clock and time zone. Templates
/// that print the date give equal prompts only if both agree.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> i64 + Send + Sync>);

impl Clock {
    /// The system's clock in UTC plus `offset_seconds`, the engines' time zone.
    #[must_use]
    pub fn system(offset_seconds: i32) -> Self {
        Self::from_fn(move || {
            let since_epoch = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            i64::try_from(since_epoch.as_secs())
                .unwrap_or(i64::MAX)
                .saturating_add(i64::from(offset_seconds))
        })
    }

    /// Any clock: local seconds since 1970-01-01T00:00.
    #[must_use]
    pub fn from_fn(now: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    fn now(&self) -> i64 {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system(0)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock(..)")
    }
}

/// The syntax that both rendering and format detection parse with.
pub(super) fn syntax() -> SyntaxConfig {
    // Without custom delimiters the builder cannot fail.
    SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()
        .unwrap_or_default()
}

pub(super) fn new(limits: RenderLimits, clock: Clock) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_syntax(syntax());
    environment.set_undefined_behavior(UndefinedBehavior::Lenient);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(limits.fuel));
    environment.set_debug(false);
    environment.set_unknown_method_callback(methods::call);
    environment.set_formatter(|out, _, value| match value.as_str() {
        Some(text) => out.write_str(text).map_err(Error::from),
        None => out.write_str(&python::str_of(value)?).map_err(Error::from),
    });
    filters::install(&mut environment);
    environment.add_function("raise_exception", raise_exception);
    environment.add_function("strftime_now", move |format: &str| {
        strftime::format(format, clock.now())
    });
    environment.add_function("joiner", minijinja_contrib::globals::joiner);
    environment.remove_global("debug");
    environment
}

fn raise_exception(message: &Value) -> Result<Value, Error> {
    let message = python::str_of(message)?.chars().take(512).collect();
    Err(Error::new(ErrorKind::InvalidOperation, "raise_exception").with_source(Raised(message)))
}
