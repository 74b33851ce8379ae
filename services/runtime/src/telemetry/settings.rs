//! How much is logged, in which form, and where traces go.

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

use crate::config::Mistakes;

/// The `telemetry` section of a configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TelemetrySettings {
    /// Text for people or JSON for machines.
    pub log_format: LogFormat,
    /// `error`, `warn`, `info`, `debug` or `trace`, with exceptions:
    /// `info,indexer_ingest=debug`.
    pub log_level: String,
    /// Where traces go.
    pub otlp: OtlpSettings,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// OpenTelemetry traces over OTLP/gRPC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OtlpSettings {
    /// The collector, `http://host:4317` or `https://host:4317`. Without it
    /// there are no traces, and they cost nothing.
    pub endpoint: Option<String>,
    /// The share of new traces that is recorded, 0 to 1. A caller's own
    /// decision is followed.
    pub sample_ratio: f64,
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self {
            log_format: LogFormat::Text,
            log_level: "info".to_owned(),
            otlp: OtlpSettings::default(),
        }
    }
}

impl Default for OtlpSettings {
    fn default() -> Self {
        Self {
            endpoint: None,
            sample_ratio: 1.0,
        }
    }
}

impl TelemetrySettings {
    /// Notes what cannot work. `section` is the path of these settings.
    pub fn validate(&self, section: &str, mistakes: &mut Mistakes) {
        if EnvFilter::builder().parse(&self.log_level).is_err() {
            mistakes.push(
                format!("{section}.log_level"),
                format_args!("{:?}", self.log_level),
                "error, warn, info, debug or trace, or info,some_crate=debug",
            );
        }
        let endpoint = self.otlp.endpoint.as_deref();
        if let Some(endpoint) = endpoint.filter(|endpoint| !is_http(endpoint)) {
            mistakes.push(
                format!("{section}.otlp.endpoint"),
                format_args!("{endpoint:?}"),
                "a URL such as http://collector:4317",
            );
        }
        if !(0.0..=1.0).contains(&self.otlp.sample_ratio) {
            mistakes.push(
                format!("{section}.otlp.sample_ratio"),
                self.otlp.sample_ratio,
                "a number from 0 to 1",
            );
        }
    }
}

fn is_http(endpoint: &str) -> bool {
    ["http://", "https://"]
        .iter()
        .filter_map(|scheme| endpoint.strip_prefix(scheme))
        .any(|host| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_settings_are_all_named() {
        let settings = TelemetrySettings {
            log_level: "loud=very".to_owned(),
            otlp: OtlpSettings {
                endpoint: Some("collector:4317".to_owned()),
                sample_ratio: 50.0,
            },
            ..TelemetrySettings::default()
        };
        let mut mistakes = Mistakes::new();
        settings.validate("telemetry", &mut mistakes);
        let paths: Vec<_> = mistakes.list().iter().map(|m| m.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "telemetry.log_level",
                "telemetry.otlp.endpoint",
                "telemetry.otlp.sample_ratio"
            ]
        );
        let mut mistakes = Mistakes::new();
        TelemetrySettings::default().validate("telemetry", &mut mistakes);
        assert!(mistakes.is_empty());
    }
}
