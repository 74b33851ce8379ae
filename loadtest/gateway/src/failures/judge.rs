//! What was observed, held against what may be.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use loadtest_gateway::{Observed, Report};

/// What may happen for a while.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    /// What this while is called.
    pub(crate) name: &'static str,
    /// Statuses that are documented for it.
    pub(crate) statuses: &'static [u16],
    /// Engines that may serve.
    pub(crate) engines: BTreeSet<String>,
    /// The longest that a request may take.
    pub(crate) bound: Duration,
}

impl Expected {
    /// One row of the report, and a finding for every rule that was broken.
    /// Requests sent before `since` are held only against the bound.
    pub(crate) fn judge(&self, observed: &[Observed], since: Instant, report: &mut Report) {
        let mut statuses: BTreeMap<u16, u64> = BTreeMap::new();
        let mut longest = Duration::ZERO;
        let (mut wrong, mut undocumented, mut hanging) = (0_u64, 0_u64, 0_u64);
        let mut example = None;
        for seen in observed {
            *statuses.entry(seen.status).or_default() += 1;
            longest = longest.max(seen.took);
            let mut broken = false;
            if seen.took > self.bound {
                hanging += 1;
                broken = true;
            }
            if seen.began >= since && !self.statuses.contains(&seen.status) {
                undocumented += 1;
                broken = true;
            }
            if seen.began >= since && !self.may_serve(seen) {
                wrong += 1;
                broken = true;
            }
            if broken && example.is_none() {
                example = Some(seen);
            }
        }
        let name = self.name;
        for (count, what) in [
            (wrong, "served by an endpoint that must not"),
            (undocumented, "with a status that is not documented"),
            (hanging, "beyond the bound"),
        ] {
            report.check(count == 0, || {
                format!("{name}: {count} requests {what}, such as {example:?}")
            });
        }
        report.check(!observed.is_empty(), || {
            format!("{name}: nothing was answered")
        });
        let statuses: Vec<String> = statuses
            .iter()
            .map(|(status, count)| format!("{status}: {count}"))
            .collect();
        report.row([
            name.to_owned(),
            observed.len().to_string(),
            statuses.join(", "),
            longest.as_millis().to_string(),
            (wrong + undocumented + hanging).to_string(),
        ]);
    }

    fn may_serve(&self, seen: &Observed) -> bool {
        let hinted = seen.hint.as_ref().is_none_or(|hint| *hint == seen.engine);
        seen.engine.is_empty() || (hinted && self.engines.contains(&seen.engine))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(status: u16, engine: &str, hint: Option<&str>, took: u64) -> bool {
        let began = Instant::now();
        let seen = Observed {
            began,
            took: Duration::from_secs(took),
            status,
            engine: engine.to_owned(),
            hint: hint.map(str::to_owned),
            error: None,
        };
        let expected = Expected {
            name: "test",
            statuses: &[200, 503],
            engines: BTreeSet::from(["a".to_owned(), "b".to_owned()]),
            bound: Duration::from_secs(5),
        };
        let mut report = Report::new("t", &["name"]);
        expected.judge(&[seen], began, &mut report);
        !report.is_clean()
    }

    #[test]
    fn every_rule_can_be_broken() {
        assert!(!findings(200, "a", None, 1));
        assert!(!findings(200, "b", Some("b"), 1));
        assert!(!findings(503, "", Some("b"), 1));
        assert!(findings(200, "stranger", None, 1));
        assert!(findings(200, "a", Some("b"), 1));
        assert!(findings(500, "", None, 1));
        assert!(findings(200, "a", None, 6));
    }
}
