//! What a command prints: a table, the same as JSON, and what was not right.

use std::fmt::{self, Write as _};

use serde_json::{Map, Value};

/// Rows of named values, and findings.
#[derive(Debug, Default)]
pub struct Report {
    title: String,
    columns: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    findings: Vec<String>,
}

impl Report {
    /// An empty one.
    #[must_use]
    pub fn new(title: impl Into<String>, columns: &[&'static str]) -> Self {
        Self {
            title: title.into(),
            columns: columns.to_vec(),
            ..Self::default()
        }
    }

    /// One more row, a value for each column.
    pub fn row(&mut self, values: impl IntoIterator<Item = String>) {
        self.rows.push(values.into_iter().collect());
    }

    /// Something that is not as it must be.
    pub fn finding(&mut self, finding: impl Into<String>) {
        self.findings.push(finding.into());
    }

    /// A finding, unless this holds.
    pub fn check(&mut self, holds: bool, finding: impl FnOnce() -> String) {
        if !holds {
            self.finding(finding());
        }
    }

    /// Whether everything is as it must be.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// Everything as JSON. Numbers are numbers.
    #[must_use]
    pub fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let pairs = self.columns.iter().zip(row);
            let pairs = pairs.map(|(column, value)| {
                let number = serde_json::from_str::<serde_json::Number>(value);
                let value = number.map_or_else(|_| Value::from(value.as_str()), Value::Number);
                ((*column).to_owned(), value)
            });
            Value::Object(Map::from_iter(pairs))
        });
        serde_json::json!({
            "title": self.title, "rows": rows.collect::<Vec<_>>(), "findings": self.findings,
        })
    }
}

/// A table as Markdown has it, then the findings.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut widths: Vec<usize> = self.columns.iter().map(|name| name.len()).collect();
        for row in &self.rows {
            for (width, value) in widths.iter_mut().zip(row) {
                *width = (*width).max(value.chars().count());
            }
        }
        let line = |values: &mut dyn Iterator<Item = &str>| {
            let mut line = String::from("|");
            for (width, value) in widths.iter().zip(values) {
                let _ = write!(line, " {value:<width$} |");
            }
            line
        };
        writeln!(f, "{}\n", self.title)?;
        writeln!(f, "{}", line(&mut self.columns.iter().copied()))?;
        let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
        writeln!(f, "{}", line(&mut rules.iter().map(String::as_str)))?;
        for row in &self.rows {
            writeln!(f, "{}", line(&mut row.iter().map(String::as_str)))?;
        }
        for finding in &self.findings {
            writeln!(f, "\nNOT RIGHT: {finding}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_spoils_the_report() {
        let mut report = Report::new("t", &["name", "n"]);
        report.row(["a".to_owned(), "2.5".to_owned()]);
        report.check(true, || "not said".to_owned());
        assert!(report.is_clean());
        assert!(report.to_string().contains("| a    | 2.5 |"), "{report}");
        assert_eq!(report.json()["rows"][0]["n"], 2.5);
        report.check(false, || "said".to_owned());
        assert!(!report.is_clean());
        assert!(report.to_string().contains("NOT RIGHT: said"));
    }
}
