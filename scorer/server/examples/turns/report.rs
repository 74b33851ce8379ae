//! The figures.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

/// What each step took, every time.
#[derive(Debug, Default)]
pub(crate) struct Step(BTreeMap<&'static str, Vec<Duration>>);

/// One shape and length.
pub(crate) struct Row {
    pub(crate) shape: &'static str,
    /// Of the grown conversation.
    pub(crate) tokens: usize,
    /// Bytes that the cache took for the first turn.
    pub(crate) remembered: u64,
    pub(crate) cold: Step,
    pub(crate) warm: Step,
}

const STEPS: [&str; 6] = ["parse", "render", "tokenise", "keys", "full", "score"];

impl Step {
    pub(crate) fn add(&mut self, step: &'static str, took: Duration) {
        self.0.entry(step).or_default().push(took);
    }

    /// The median in microseconds.
    fn median(&self, step: &str) -> f64 {
        let mut times = self.0.get(step).cloned().unwrap_or_default();
        times.sort();
        let middle = times.get(times.len() / 2);
        middle.map_or(0.0, |time| time.as_secs_f64() * 1e6)
    }
}

impl Row {
    /// What the warm question costs of the cold one.
    fn ratio(&self) -> f64 {
        self.warm.median("score") / self.cold.median("score")
    }
}

/// A table of medians.
pub(crate) fn print(rows: &[Row]) {
    println!("medians in us; score: from body to answer\n");
    print!("{:<12} {:>7} {:<5}", "conversation", "tokens", "");
    for step in STEPS {
        print!(" {step:>9}");
    }
    println!(" {:>6} {:>10}", "warm", "remembered");
    for row in rows {
        for (name, steps) in [("cold", &row.cold), ("warm", &row.warm)] {
            print!("{:<12} {:>7} {name:<5}", row.shape, row.tokens);
            for step in STEPS {
                print!(" {:>9.0}", steps.median(step));
            }
            match name {
                "warm" => println!(
                    " {:>5.1}% {:>9}k",
                    row.ratio() * 100.0,
                    row.remembered >> 10
                ),
                _ => println!(),
            }
        }
    }
}

pub(crate) fn json(rows: &[Row]) -> Value {
    let medians = |steps: &Step| -> BTreeMap<String, f64> {
        let medians = STEPS
            .iter()
            .map(|step| (format!("{step}_us"), steps.median(step)));
        medians.collect()
    };
    let rows = rows.iter().map(|row| {
        json!({
            "conversation": row.shape, "tokens": row.tokens, "cold": medians(&row.cold),
            "warm": medians(&row.warm), "remembered_bytes": row.remembered, "warm_of_cold": row.ratio(),
        })
    });
    rows.collect()
}
