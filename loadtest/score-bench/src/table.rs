//! The figures, for people.

use std::fmt::Write;

use crate::keys::Keys;
use crate::latency::Latency;
use crate::load::Phase;
use crate::quantiles::Quantiles;
use crate::rate::Rate;
use crate::report::Report;

/// The whole report as text.
pub(crate) fn render(report: &Report) -> String {
    let mut text = format!(
        "{}; {} engines, {} memberships, prompts of {} tokens\n",
        report.machine, report.engines, report.memberships, report.prompt_tokens
    );
    if !report.keys.is_empty() {
        keys(&mut text, &report.keys);
    }
    if let Some(found) = &report.latency {
        latency(&mut text, found);
    }
    if !report.rates.is_empty() {
        rates(&mut text, &report.rates);
    }
    if let Some(found) = &report.load {
        load(&mut text, found);
    }
    for missed in report.missed() {
        row(&mut text, format_args!("\nNOT REACHED  {missed}"));
    }
    text
}

/// Writing to a string cannot fail.
fn row(text: &mut String, row: impl std::fmt::Display) {
    let _ = writeln!(text, "{row}");
}

fn keys(text: &mut String, keys: &[Keys]) {
    row(
        text,
        "\nkeys of one prompt             block    tokens        us     floor   ratio",
    );
    for found in keys {
        row(
            text,
            format_args!(
                "{:<30} {:>5} {:>9} {:>9.1} {:>9.1} {:>7.2}",
                found.form,
                found.block_size,
                found.tokens,
                found.keys_us,
                found.floor_us,
                found.ratio
            ),
        );
    }
}

fn latency(text: &mut String, found: &Latency) {
    row(
        text,
        "\none call at a time, gRPC, us        min       p50       p90       p99     p99.9",
    );
    for (name, times) in [
        ("Score", &found.score),
        ("echo, an answer of the same kind", &found.echo),
        ("echo, an empty answer", &found.echo_empty),
    ] {
        row(text, format_args!("{name:<33}{}", quantiles(times)));
    }
    let (p50, p99, empty) = (found.p50_ratio, found.p99_ratio, found.p50_ratio_empty);
    row(
        text,
        format_args!("Score / echo: p50 {p50:.2}, p99 {p99:.2}; p50 / empty echo {empty:.2}"),
    );
}

fn quantiles(times: &Quantiles) -> String {
    let columns = [
        times.min_us,
        times.p50_us,
        times.p90_us,
        times.p99_us,
        times.p999_us,
    ];
    columns.iter().fold(String::new(), |mut line, us| {
        let _ = write!(line, "{us:>9.1} ");
        line
    })
}

fn rates(text: &mut String, rates: &[Rate]) {
    row(
        text,
        "\nas much as is answered              req/s   req/s per core   us of server  of Dynamo",
    );
    for rate in rates {
        let of = rate
            .of_dynamo
            .map_or_else(String::new, |of| format!("{of:.2}"));
        row(
            text,
            format_args!(
                "{:<8} {:<22} {:>10.0} {:>16.0} {:>14.1} {of:>10}",
                rate.server, rate.wire, rate.per_second, rate.per_core, rate.server_us
            ),
        );
    }
}

fn load(text: &mut String, phases: &[Phase]) {
    row(
        text,
        "\nwhile events are applied, us                 min       p50       p90       p99     p99.9   of idle",
    );
    for phase in phases {
        for (name, times, ratio) in [
            ("Score", &phase.score, phase.p99_ratio),
            ("echo", &phase.echo, phase.echo_p99_ratio),
        ] {
            let (load, times) = (phase.load, quantiles(times));
            row(
                text,
                format_args!("{load:<18} {name:<20} {times} {ratio:>8.2}"),
            );
        }
    }
    row(
        text,
        "of idle: a turn's p99 over that of the idle turn of its round; of all rounds, the middle",
    );
    for phase in phases {
        row(
            text,
            format_args!(
                "{:<18} {:>9.0} block events/s; cores: kvatlas {:.2}, bench {:.2}, all {:.2}, stolen {:.2}",
                phase.load,
                phase.events_per_second,
                phase.server_cores,
                phase.bench_cores,
                phase.all_cores,
                phase.stolen_cores
            ),
        );
    }
}
