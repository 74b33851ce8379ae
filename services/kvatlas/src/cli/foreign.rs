//! Flags of other endpoint pickers that mean nothing here: what to use instead.

const METRICS_PLACE: &str =
    "leave it out: load is read from http://ENDPOINT/metrics, where vLLM and SGLang serve it";

const METRICS_NAMES: &str = "leave it out: the names that vLLM and SGLang use are known";

const METADATA_NAMES: &str = "leave it out: the protocol's names are used, \
    x-gateway-destination-endpoint in envoy.lb";

/// The flag, and what to do without it.
const FLAGS: &[(&str, &str)] = &[
    (
        "config-file",
        "kvatlas has a configuration of its own: --config FILE, section epp",
    ),
    (
        "config-text",
        "kvatlas has a configuration of its own: --config FILE, section epp",
    ),
    (
        "ha-enable-leader-election",
        "leave it out: any number of pickers work at the same time",
    ),
    ("tracing", "set telemetry.otlp.endpoint"),
    (
        "enable-pprof",
        "leave it out: there is no profiler to serve",
    ),
    (
        "emit-endpoint-scores",
        "leave it out: the log says why an endpoint was picked",
    ),
    (
        "tls-min-version",
        "leave it out: TLS 1.2 and 1.3 are served",
    ),
    (
        "disable-endpoint-subset-filter",
        "leave it out: a subset is never left",
    ),
    (
        "enable-cert-reload",
        "leave it out: certificates are read again when they change",
    ),
    ("grpc-max-recv-msg-size", "set epp.serve.message_bytes"),
    (
        "grpc-max-send-msg-size",
        "leave it out: messages to the gateway are short",
    ),
    (
        "endpoint-selector",
        "name a pool (--pool-name), or list endpoints (--endpoint)",
    ),
    (
        "endpoint-target-ports",
        "name a pool (--pool-name), or list endpoints (--endpoint)",
    ),
    ("refresh-metrics-interval", "set epp.scrape.interval"),
    (
        "refresh-prometheus-metrics-interval",
        "leave it out: metrics are made when they are asked for",
    ),
    ("metrics-staleness-threshold", "set epp.scrape.stale_after"),
    (
        "metrics-endpoint-auth",
        "leave it out: metrics are served to whoever reaches the port",
    ),
    ("model-server-metrics-port", METRICS_PLACE),
    ("model-server-metrics-path", METRICS_PLACE),
    ("model-server-metrics-scheme", METRICS_PLACE),
    (
        "model-server-metrics-https-insecure-skip-verify",
        METRICS_PLACE,
    ),
    ("total-queued-requests-metric", METRICS_NAMES),
    ("total-running-requests-metric", METRICS_NAMES),
    ("kv-cache-usage-percentage-metric", METRICS_NAMES),
    ("lora-info-metric", METRICS_NAMES),
    ("cache-info-metric", METRICS_NAMES),
    ("destination-endpoint-hint-key", METADATA_NAMES),
    (
        "destination-endpoint-hint-metadata-namespace",
        METADATA_NAMES,
    ),
    ("max-num-endpoints", "set epp.choices"),
    (
        "kubeconfig",
        "set the environment variable KUBECONFIG, or run in the cluster",
    ),
    (
        "enable-leader-election",
        "leave it out: any number of pickers work at the same time",
    ),
    (
        "zap-devel",
        "set telemetry.log_format and telemetry.log_level",
    ),
    (
        "zap-stacktrace-level",
        "leave it out: there are no stack traces in the log",
    ),
    (
        "zap-time-encoding",
        "leave it out: times are written as RFC 3339",
    ),
    ("zap-encoder", "set telemetry.log_format: text or json"),
    ("zap-log-level", "set telemetry.log_level"),
    ("v", "set telemetry.log_level"),
];

/// What to use instead of a flag that nobody here knows.
pub(crate) fn advice(argument: &str) -> Option<String> {
    let name = argument.trim_start_matches('-');
    let name = name.split('=').next().unwrap_or(name);
    let (flag, advice) = FLAGS.iter().find(|(flag, _)| *flag == name)?;
    Some(format!("--{flag} is not supported: {advice}"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn a_flag_of_other_pickers_is_explained() {
        let said = advice("--config-file=/etc/epp.yaml").unwrap();
        assert!(said.contains("--config FILE"), "{said}");
        let said = advice("--model-server-metrics-port=8000").unwrap();
        assert!(said.contains("leave it out"), "{said}");
        assert!(advice("--kv-cache-usage-percentage-metric").is_some());
        assert!(advice("-v").is_some());
        assert_eq!(advice("--pool-nam"), None);
    }

    #[test]
    fn no_flag_of_ours_is_called_foreign() {
        let cli = crate::cli::Cli::command();
        let epp = cli.find_subcommand("epp").unwrap();
        for argument in epp
            .get_arguments()
            .filter_map(|argument| argument.get_long())
        {
            assert_eq!(advice(argument), None, "{argument}");
        }
    }
}
