//! Spans to an OpenTelemetry collector.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use thiserror::Error;
use tonic::transport::ClientTlsConfig;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

use super::quiet::QUIET_TARGETS;
use super::settings::OtlpSettings;
use crate::metrics::Build;

/// How long the last spans may take at the end of the process.
pub const MAX_FLUSH_TIME: Duration = Duration::from_secs(5);
/// How long one export may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// What sends the spans, and so must not make any.
const SILENT_TARGETS: [&str; 10] = [
    "h2",
    "hyper",
    "hyper_util",
    "openraft",
    "opentelemetry",
    "opentelemetry_otlp",
    "opentelemetry_sdk",
    "rustls",
    "tonic",
    "tower",
];

/// The exporter cannot be made as configured.
#[derive(Debug, Error)]
#[error("no exporter for {endpoint}")]
pub struct OtlpError {
    /// The collector as configured.
    pub endpoint: String,
    /// What the exporter said.
    #[source]
    pub source: ExporterBuildError,
}

/// The provider, or nothing where no endpoint is configured.
pub(super) fn provider(
    settings: &OtlpSettings,
    build: Build,
) -> Result<Option<SdkTracerProvider>, OtlpError> {
    let Some(endpoint) = &settings.endpoint else {
        return Ok(None);
    };
    let mut exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_TIMEOUT);
    if endpoint.starts_with("https://") {
        exporter = exporter.with_tls_config(ClientTlsConfig::new().with_enabled_roots());
    }
    let exporter = exporter.build().map_err(|source| OtlpError {
        endpoint: endpoint.clone(),
        source,
    })?;
    let resource = Resource::builder()
        .with_service_name(build.name)
        .with_attribute(KeyValue::new("service.version", build.version))
        .build();
    let sampler = Sampler::TraceIdRatioBased(settings.sample_ratio);
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    Ok(Some(
        SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(Sampler::ParentBased(Box::new(sampler)))
            .with_resource(resource)
            .build(),
    ))
}

/// The layer that hands spans of level info and above to the provider.
pub(super) fn layer<S>(
    provider: &SdkTracerProvider,
    build: Build,
) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(build.name))
        .with_threads(false)
        .with_filter(targets())
        .boxed()
}

/// Spans and events of level info and above, of our own making only.
fn targets() -> Targets {
    let silent = SILENT_TARGETS.iter().chain(&QUIET_TARGETS);
    Targets::new()
        .with_default(LevelFilter::INFO)
        .with_targets(silent.map(|target| (*target, LevelFilter::OFF)))
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn what_sees_prompts_is_in_no_trace() {
        let targets = targets();
        for target in ["tokenizers::tokenizer", "minijinja", "tonic::transport"] {
            assert!(!targets.would_enable(target, &Level::ERROR), "{target}");
        }
        assert!(targets.would_enable("scorer_server", &Level::INFO));
        assert!(!targets.would_enable("scorer_server", &Level::DEBUG));
    }
}
