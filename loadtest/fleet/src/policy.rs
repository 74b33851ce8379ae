//! Changes to the picker's default policy, by name.

use std::fmt;
use std::str::FromStr;

use router_picker::Policy;

/// One number of the policy, set to something else than its default.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PolicyChange {
    field: Field,
    value: f64,
}

/// The numbers that can be set, as `docs/picking.md` names them.
const FIELDS: [(&str, Field); 9] = [
    ("weights.prefix", Field::Prefix),
    ("weights.queue", Field::Queue),
    ("weights.running", Field::Running),
    ("weights.kv", Field::Kv),
    ("near_tie", Field::NearTie),
    ("overload.saved_factor", Field::SavedFactor),
    ("overload.slack_tokens", Field::SlackTokens),
    ("overload.waiting_tokens", Field::WaitingTokens),
    ("overload.running_tokens", Field::RunningTokens),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Prefix,
    Queue,
    Running,
    Kv,
    NearTie,
    SavedFactor,
    SlackTokens,
    WaitingTokens,
    RunningTokens,
}

/// A change that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "policy change {text:?} is not NAME=NUMBER with a number from 0 to 4294967295; names are {names}"
)]
pub struct PolicyChangeError {
    text: String,
    names: String,
}

impl FromStr for PolicyChange {
    type Err = PolicyChangeError;

    fn from_str(text: &str) -> Result<Self, PolicyChangeError> {
        let parsed = text.split_once('=').and_then(|(name, value)| {
            let (_, field) = FIELDS.iter().find(|(known, _)| *known == name)?;
            let value: f64 = value.parse().ok()?;
            let sensible = (0.0..=f64::from(u32::MAX)).contains(&value);
            sensible.then_some(Self {
                field: *field,
                value,
            })
        });
        parsed.ok_or_else(|| PolicyChangeError {
            text: text.chars().take(64).collect(),
            names: FIELDS.map(|(name, _)| name).join(", "),
        })
    }
}

impl fmt::Display for PolicyChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = FIELDS.iter().find(|(_, field)| *field == self.field);
        write!(f, "{}={}", known.map_or("", |(name, _)| name), self.value)
    }
}

impl serde::Serialize for PolicyChange {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl PolicyChange {
    /// Whole numbers are cut down to.
    fn apply(self, policy: &mut Policy) {
        let value = self.value;
        // Within the range of u32: checked when it was read.
        let whole = value as u32;
        match self.field {
            Field::Prefix => policy.weights.prefix = value,
            Field::Queue => policy.weights.queue = value,
            Field::Running => policy.weights.running = value,
            Field::Kv => policy.weights.kv = value,
            Field::NearTie => policy.near_tie = value,
            Field::SavedFactor => policy.overload.saved_factor = value,
            Field::SlackTokens => policy.overload.slack_tokens = whole,
            Field::WaitingTokens => policy.overload.waiting_tokens = whole,
            Field::RunningTokens => policy.overload.running_tokens = whole,
        }
    }
}

/// The default with these changes, the last of a name counts.
pub(crate) fn changed(changes: &[PolicyChange]) -> Policy {
    let mut policy = Policy::default();
    for change in changes {
        change.apply(&mut policy);
    }
    policy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_sets_its_number_and_is_said_back() {
        let default = Policy::default();
        for (name, _) in FIELDS {
            let text = format!("{name}=0.5");
            let change: PolicyChange = text.parse().unwrap();
            assert_eq!(change.to_string(), text);
            assert_ne!(changed(&[change]), default, "{name}");
        }
        let back = format!("near_tie={}", default.near_tie);
        let twice = ["near_tie=0.5", &back].map(|text| text.parse().unwrap());
        assert_eq!(changed(&twice), default);
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_the_names() {
        for text in [
            "",
            "near_tie",
            "near_tie=",
            "near_tie=-1",
            "tie=1",
            "near_tie=NaN",
        ] {
            let error = text.parse::<PolicyChange>().unwrap_err().to_string();
            assert!(error.contains("overload.saved_factor"), "{error}");
        }
    }
}
