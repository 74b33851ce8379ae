//! The tables: medians with the spread of the repeats, and who is ahead.

#![expect(clippy::print_stdout, reason = "the tables are the output")]

mod metric;

use std::collections::BTreeMap;

use crate::figures::{Exactness, Figures};
use crate::parent::{Outcome, Results};
use crate::subject::Structure;

use metric::{METRICS, Metric, Spread};

/// Prints everything, as Markdown.
pub(crate) fn print(results: &Results) {
    let note = &results.machine;
    println!(
        "{}, {} cores, {:.0} GiB, Linux {}; {}; commit {}; {}; {}",
        note.processor,
        note.cores,
        note.memory_gib,
        note.kernel,
        note.compiler,
        note.commit,
        note.profile,
        note.versions.join(", "),
    );
    println!(
        "arguments `{}`; lanes {}; load before `{}`, after `{}`",
        note.arguments.join(" "),
        results.lanes,
        note.load_before,
        results.load_after
    );
    for outcome in &results.scenarios {
        table(outcome);
    }
    verdicts(results);
}

fn table(outcome: &Outcome) {
    let Some(stage) = outcome.runs.values().flatten().map(|f| f.churned).next() else {
        return;
    };
    println!("\n### {}", outcome.scenario.name());
    println!(
        "\n{:.1} M memberships of {:.1} M blocks after the churn; {:.1} matches per lookup; median [least to most] of {} runs\n",
        stage.memberships as f64 / 1e6,
        stage.distinct as f64 / 1e6,
        stage.matches,
        outcome.runs.values().map(Vec::len).max().unwrap_or(0),
    );
    let names: Vec<_> = outcome.runs.keys().map(|s| name(*s)).collect();
    println!("| | {} |", names.join(" | "));
    println!("|---|{}", "---|".repeat(names.len()));
    for metric in METRICS {
        let spreads = spreads(outcome, metric);
        let medians = spreads.values().flatten().map(|s| s.median);
        let best = medians
            .filter(|_| metric.compared)
            .min_by(|a, b| metric.order(*a, *b));
        let cell = |spread: &Option<Spread>| match spread {
            Some(spread) if Some(spread.median) == best => format!("**{}**", metric.text(spread)),
            Some(spread) => metric.text(spread),
            None => "–".to_owned(),
        };
        let cells: Vec<_> = spreads.values().map(cell).collect();
        println!("| {} | {} |", metric.name, cells.join(" | "));
    }
    let answers: Vec<_> = outcome.runs.values().map(|runs| answers(runs)).collect();
    println!("| answers | {} |", answers.join(" | "));
    for (structure, reason) in &outcome.failed {
        println!("\n{}: {reason}", name(*structure));
    }
}

fn spreads(outcome: &Outcome, metric: &Metric) -> BTreeMap<Structure, Option<Spread>> {
    let spread = |runs: &Vec<Figures>| Spread::of(runs.iter().filter_map(metric.of).collect());
    let each = outcome.runs.iter();
    each.map(|(structure, runs)| (*structure, spread(runs)))
        .collect()
}

/// All answers of all runs: exact, or how they were not.
fn answers(runs: &[Figures]) -> String {
    let all = runs.iter().flat_map(|figures| {
        [
            figures.loaded.exactness,
            figures.churned.exactness,
            figures.ended,
        ]
    });
    let sum = all.fold(Exactness::default(), |sum, one| Exactness {
        asked: sum.asked + one.asked,
        exact: sum.exact + one.exact,
        endpoints: sum.endpoints + one.endpoints,
        short: sum.short + one.short,
        long: sum.long + one.long,
    });
    if sum.is_exact() {
        return format!("all {} exact", sum.asked);
    }
    let percent = |part: u64, of: u64| 100.0 * part as f64 / of.max(1) as f64;
    format!(
        "{:.1} % exact; endpoints: {:.2} % short, {:.2} % long",
        percent(sum.exact, sum.asked),
        percent(sum.short, sum.endpoints),
        percent(sum.long, sum.endpoints),
    )
}

fn verdicts(results: &Results) {
    println!("\n### Ours against the best peer of each row\n");
    println!(
        "Peers with inexact answers count, too. Over 1.00 is ahead; of bytes, ours should be half.\n"
    );
    println!("| scenario | row | ours | best peer | | |");
    println!("|---|---|---|---|---|---|");
    for outcome in &results.scenarios {
        for metric in METRICS.iter().filter(|metric| metric.compared) {
            if let Some(row) = verdict(outcome, metric) {
                println!("| {} | {} | {row} |", outcome.scenario.name(), metric.name);
            }
        }
    }
}

fn verdict(outcome: &Outcome, metric: &Metric) -> Option<String> {
    let mut spreads = spreads(outcome, metric);
    let ours = spreads.remove(&Structure::Kvatlas)??;
    let peers = spreads
        .into_iter()
        .filter_map(|(s, spread)| Some((s, spread?)));
    let (peer, best) = peers.min_by(|a, b| metric.order(a.1.median, b.1.median))?;
    let ratio = if metric.higher_is_better {
        ours.median / best.median
    } else {
        best.median / ours.median
    };
    let overlap = ours.least <= best.most && best.least <= ours.most;
    let repeated = outcome.runs.values().all(|runs| runs.len() > 1);
    let word = if ratio >= metric.goal {
        "ahead"
    } else if ratio >= 1.0 {
        "ahead, not by half"
    } else if overlap && repeated {
        "**behind**, within the spread"
    } else {
        "**behind**"
    };
    let holes = if outcome.has_holes() { " (holes)" } else { "" };
    Some(format!(
        "{} | {} ({}) | {ratio:.2} | {word}{holes}",
        metric.text(&ours),
        metric.text(&best),
        name(peer)
    ))
}

fn name(structure: Structure) -> &'static str {
    match structure {
        Structure::Kvatlas => "kvatlas",
        Structure::KvIndex => "kv-index",
        Structure::DynamoConcurrent => "dynamo concurrent",
        Structure::DynamoRadix => "dynamo radix, direct",
        Structure::DynamoActor => "dynamo radix, KvIndexer",
        Structure::DynamoPositional => "dynamo positional",
    }
}
