//! `/metrics` with vLLM's names and labels.

use std::fmt::Write as _;

use super::shared::{Shared, State};
use super::statistics::Histogram;

/// The exposition text.
pub(crate) fn render(shared: &Shared) -> String {
    let mut page = Page {
        text: String::with_capacity(8 << 10),
        labels: format!("engine=\"0\",model_name=\"{}\"", model(shared)),
    };
    shared.with_state(|state| {
        gauges(&mut page, state);
        counters(&mut page, state);
        let statistics = &state.statistics;
        page.histogram("vllm:time_to_first_token_seconds", &statistics.first_token);
        page.histogram("vllm:e2e_request_latency_seconds", &statistics.whole);
    });
    cache_config(&mut page, shared);
    page.text
}

fn model(shared: &Shared) -> String {
    let name = shared.config.models.first().map_or("", String::as_str);
    name.replace('\\', "\\\\").replace('"', "\\\"")
}

fn gauges(page: &mut Page, state: &State) {
    let load = state.load;
    page.gauge("vllm:num_requests_running", load.running);
    page.gauge("vllm:num_requests_waiting", load.waiting);
    // The newer and the older name.
    page.gauge("vllm:kv_cache_usage_perc", load.kv_usage);
    page.gauge("vllm:gpu_cache_usage_perc", load.kv_usage);
}

fn counters(page: &mut Page, state: &State) {
    let totals = state.totals;
    page.counter("vllm:prefix_cache_queries", totals.prefix_queries);
    page.counter("vllm:prefix_cache_hits", totals.prefix_hits);
    page.counter("vllm:num_preemptions", totals.preemptions);
    page.counter("vllm:prompt_tokens", totals.prompt_tokens);
    page.counter("vllm:generation_tokens", totals.generated_tokens);
    let statistics = &state.statistics;
    page.kind("vllm:request_success", "counter");
    for (reason, count) in [
        ("stop", statistics.finished_by_stop),
        ("length", statistics.finished_by_length),
        ("abort", statistics.aborted),
    ] {
        let labels = format!("{},finished_reason=\"{reason}\"", page.labels);
        page.sample("vllm:request_success_total", &labels, count);
    }
}

fn cache_config(page: &mut Page, shared: &Shared) {
    let engine = &shared.config.engine;
    page.kind("vllm:cache_config_info", "gauge");
    let labels = format!(
        "block_size=\"{}\",cache_dtype=\"auto\",enable_prefix_caching=\"True\",engine=\"0\",\
         num_gpu_blocks=\"{}\"",
        engine.block_size,
        engine.blocks()
    );
    page.sample("vllm:cache_config_info", &labels, 1);
}

struct Page {
    text: String,
    labels: String,
}

impl Page {
    fn gauge(&mut self, name: &str, value: impl std::fmt::Display) {
        self.kind(name, "gauge");
        let labels = self.labels.clone();
        self.sample(name, &labels, value);
    }

    fn counter(&mut self, name: &str, value: u64) {
        self.kind(name, "counter");
        let labels = self.labels.clone();
        self.sample(&format!("{name}_total"), &labels, value);
    }

    fn histogram(&mut self, name: &str, histogram: &Histogram) {
        self.kind(name, "histogram");
        let labels = self.labels.clone();
        for (bound, count) in histogram.buckets() {
            let bound = bound.map_or_else(|| "+Inf".to_owned(), |bound| bound.to_string());
            let labels = format!("{labels},le=\"{bound}\"");
            self.sample(&format!("{name}_bucket"), &labels, count);
        }
        self.sample(&format!("{name}_sum"), &labels, histogram.sum());
        self.sample(&format!("{name}_count"), &labels, histogram.count());
    }

    fn kind(&mut self, name: &str, kind: &str) {
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        self.line(format_args!("{name}{{{labels}}} {value}"));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{line}");
    }
}
