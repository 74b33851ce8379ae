//! Logs to standard error, and traces over OTLP where an endpoint is given.

mod otlp;
mod panics;
mod quiet;
mod settings;
mod trace_context;

pub use otlp::{MAX_FLUSH_TIME, OtlpError};
pub use settings::{LogFormat, OtlpSettings, TelemetrySettings};
pub use trace_context::{adopt_parent, inject_current};

use std::io::{self, IsTerminal};

use opentelemetry_sdk::trace::SdkTracerProvider;
use thiserror::Error;
use tracing_subscriber::filter::{FilterExt, ParseError};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::metrics::Build;

/// What keeps telemetry going. Call [`Telemetry::shutdown`] last.
#[must_use = "spans that are still here when the process ends are lost"]
#[derive(Debug)]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

/// Why telemetry could not be started.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// The level filter cannot be read.
    #[error("log level {level:?} is no filter; write info, or info,some_crate=debug")]
    Filter {
        /// The filter as configured.
        level: String,
        /// What the parser said.
        #[source]
        source: ParseError,
    },
    /// Traces cannot be sent as configured.
    #[error("traces cannot be sent")]
    Otlp(#[from] OtlpError),
    /// Telemetry was started twice.
    #[error("the log of this process is already set up")]
    Twice(#[source] TryInitError),
}

/// Sets up the log and the traces of this process, and logs panics. Call it
/// once, inside a tokio runtime if traces are configured.
///
/// # Errors
/// [`TelemetryError`]; then nothing is set up.
pub fn init(settings: &TelemetrySettings, build: Build) -> Result<Telemetry, TelemetryError> {
    let colours = io::stderr().is_terminal();
    let log = log_layer::<Registry, _>(settings, io::stderr, colours)?;
    let traces = otlp::provider(&settings.otlp, build)?;
    let spans = traces.as_ref().map(|provider| otlp::layer(provider, build));
    let layers: Vec<_> = spans.into_iter().chain([log]).collect();
    tracing_subscriber::registry()
        .with(layers)
        .try_init()
        .map_err(TelemetryError::Twice)?;
    panics::log_panics();
    Ok(Telemetry { traces })
}

/// The log as one layer, so that its filter does not touch the traces.
fn log_layer<S, W>(
    settings: &TelemetrySettings,
    writer: W,
    colours: bool,
) -> Result<Box<dyn Layer<S> + Send + Sync>, TelemetryError>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder()
        .parse(quiet::directives(&settings.log_level))
        .map_err(|source| TelemetryError::Filter {
            level: settings.log_level.clone(),
            source,
        })?
        .and(quiet::cap());
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(colours);
    Ok(match settings.log_format {
        LogFormat::Text => layer.with_filter(filter).boxed(),
        LogFormat::Json => layer
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .with_filter(filter)
            .boxed(),
    })
}

impl Telemetry {
    /// Sends what spans are left, for at most [`MAX_FLUSH_TIME`].
    pub async fn shutdown(self) {
        let Some(provider) = self.traces else { return };
        // The exporter blocks its thread while the runtime sends for it.
        let flushed =
            tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(MAX_FLUSH_TIME));
        match flushed.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last spans may be lost"),
            Err(error) => tracing::warn!(%error, "the last spans may be lost"),
        }
    }
}

#[cfg(test)]
mod tests;
