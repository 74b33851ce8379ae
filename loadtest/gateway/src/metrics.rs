//! A process's metrics as it says them.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Result, ensure};

use crate::{Client, get};

/// One reading: series as they are written (name and labels), and their values.
#[derive(Debug, Clone, Default)]
pub struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// Reads `/metrics`.
    ///
    /// # Errors
    /// If nobody answers with metrics.
    pub async fn read(address: SocketAddr) -> Result<Self> {
        let answer = Client::once(address, get("metrics", "/metrics")).await?;
        ensure!(answer.status == 200, "/metrics: {}", answer.status);
        Ok(Self::parsed(&answer.text()))
    }

    fn parsed(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let series = lines.filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        });
        Self(series.collect())
    }

    /// The sum of the series of this name whose labels contain all these texts.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let of_name = |series: &str| {
            let rest = series.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
        };
        let matching = self
            .0
            .iter()
            .filter(|(series, _)| of_name(series))
            .filter(|(series, _)| labels.iter().all(|label| series.contains(label)));
        matching.map(|(_, value)| value).sum()
    }

    /// The names that begin with this, without labels.
    #[must_use]
    pub fn names(&self, prefix: &str) -> Vec<&str> {
        let names = self.0.keys().filter(|series| series.starts_with(prefix));
        let mut names: Vec<_> = names
            .map(|series| series.split('{').next().unwrap_or(series))
            .collect();
        names.dedup();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_summed_by_name_and_label() {
        let text = "# HELP a x\na{b=\"1\",c=\"2\"} 3\na{b=\"2\"} 4.5\nab 100\na 1\n";
        let metrics = Metrics::parsed(text);
        assert_eq!(metrics.sum("a", &[]), 8.5);
        assert_eq!(metrics.sum("a", &["b=\"2\""]), 4.5);
        assert_eq!(metrics.sum("missing", &[]), 0.0);
        assert_eq!(metrics.names("a"), ["a", "ab", "a"]);
    }
}
