//! What can be told from the scorer's own lists.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use proto_api::v1::{EndpointInfo, ReplicaState, StatsResponse, Trust};

/// A replica that has not heard from its store for longer is suspicious.
const AGE_LIMIT_MS: u64 = 10_000;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// Answers may be incomplete.
    Warning,
    /// Answers are wrong or missing.
    Error,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Diagnosis {
    pub(super) level: Level,
    pub(super) subject: String,
    pub(super) seen: String,
    pub(super) expected: String,
    pub(super) advice: String,
}

impl Diagnosis {
    pub(super) fn as_json(&self) -> serde_json::Value {
        serde_json::json!({
            "level": self.level.as_str(),
            "subject": self.subject,
            "seen": self.seen,
            "expected": self.expected,
            "advice": self.advice,
        })
    }
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.level.as_str(), self.subject)?;
        writeln!(f, "  seen:     {}", self.seen)?;
        writeln!(f, "  expected: {}", self.expected)?;
        writeln!(f, "  mend:     {}", self.advice)
    }
}

/// Whether the replica itself is in order.
pub(super) fn replica(stats: &StatsResponse) -> Vec<Diagnosis> {
    let state = ReplicaState::try_from(stats.state).unwrap_or(ReplicaState::Unspecified);
    if state == ReplicaState::Live && stats.age_ms <= AGE_LIMIT_MS {
        return Vec::new();
    }
    vec![Diagnosis {
        level: Level::Error,
        subject: "replica".to_owned(),
        seen: format!(
            "{}, last heard from its store {} ms ago",
            state.as_str_name(),
            stats.age_ms
        ),
        expected: format!("live, within {AGE_LIMIT_MS} ms"),
        advice: "see the scorer's log for why it cannot follow its store".to_owned(),
    }]
}

/// What is wrong with publishers.
pub(super) fn endpoints(
    endpoints: &[EndpointInfo],
    now_s: u64,
    silent_after_s: u64,
) -> Vec<Diagnosis> {
    if endpoints.is_empty() {
        return vec![Diagnosis {
            level: Level::Error,
            subject: "endpoints".to_owned(),
            seen: "no publisher has been heard".to_owned(),
            expected: "at least one engine with KV events on".to_owned(),
            advice: "start engines with --kv-events-config, enable_kv_cache_events true, publisher zmq, \
                     endpoint tcp://THIS_HOST:5557, topic kv@IP:PORT@MODEL; check the network between"
                .to_owned(),
        }];
    }
    endpoints
        .iter()
        .flat_map(|endpoint| publisher(endpoint, now_s, silent_after_s))
        .collect()
}

fn publisher(endpoint: &EndpointInfo, now_s: u64, silent_after_s: u64) -> Vec<Diagnosis> {
    let subject = format!(
        "{}/{}#{}",
        endpoint.cluster, endpoint.address, endpoint.rank
    );
    let mut found = Vec::new();
    let mut warn = |seen: String, expected: &str, advice: &str| {
        found.push(Diagnosis {
            level: Level::Warning,
            subject: subject.clone(),
            seen,
            expected: expected.to_owned(),
            advice: advice.to_owned(),
        });
    };
    match Trust::try_from(endpoint.trust) {
        Ok(Trust::Partial) => warn(
            "trust partial: its first messages were not seen".to_owned(),
            "trust exact, the whole incarnation seen",
            "start KVAtlas before the engine, or give the engine a replay_endpoint and KVAtlas its port",
        ),
        Ok(Trust::Suspect) => warn(
            match endpoint.lost {
                0 => {
                    "trust suspect: its connection was renewed, or what it sent contradicts itself"
                        .to_owned()
                }
                lost => format!("trust suspect: {lost} messages lost"),
            },
            "no gap that the replay socket cannot fill",
            "give the engine a replay_endpoint and KVAtlas its port; until the engine restarts or clears \
             its cache, what is listed may be gone",
        ),
        _ => {}
    }
    if endpoint.parked > 0 {
        warn(
            format!(
                "{} blocks wait for a parent that was never seen",
                endpoint.parked
            ),
            "every block's parent known",
            "they count again once the engine stores the parent; a replay socket avoids it",
        );
    }
    let silent = now_s.saturating_sub(endpoint.last_event_us / 1_000_000);
    if silent > silent_after_s {
        warn(
            format!("silent for {silent} s"),
            "an event now and then from an engine in use",
            "an idle engine says nothing: check that it still runs and is connected",
        );
    }
    found
}

/// What is wrong with whole models.
pub(super) fn models(stats: &StatsResponse) -> Vec<Diagnosis> {
    let mut sizes: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
    for space in stats.models.iter().flat_map(|model| &model.spaces) {
        sizes
            .entry(&space.model)
            .or_default()
            .insert(space.block_size);
    }
    let mixed = sizes
        .iter()
        .filter(|(_, sizes)| sizes.len() > 1)
        .map(|(model, sizes)| Diagnosis {
            level: Level::Warning,
            subject: format!("model {model}"),
            seen: format!("block sizes {sizes:?}"),
            expected: "one --block-size for all engines of a model".to_owned(),
            advice: "every size is scored rightly, but each costs its own pass over the prompt"
                .to_owned(),
        });
    let mute = stats
        .models
        .iter()
        .filter(|model| !model.tokenizer)
        .map(|model| Diagnosis {
            level: Level::Warning,
            subject: format!("model {}", model.name),
            seen: "no tokenizer: only token ids and block keys can be scored".to_owned(),
            expected: "a source for its tokenizer and chat template".to_owned(),
            advice: format!(
                "--model {}=DIRECTORY, or models[].source in the configuration",
                model.name
            ),
        });
    mixed.chain(mute).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(trust: Trust) -> EndpointInfo {
        EndpointInfo {
            cluster: "c".to_owned(),
            address: "10.0.0.1:8000".to_owned(),
            trust: trust.into(),
            last_event_us: 1_000_000_000,
            ..Default::default()
        }
    }

    #[test]
    fn a_healthy_fleet_has_no_findings() {
        assert_eq!(endpoints(&[endpoint(Trust::Exact)], 1_010, 300), []);
        let stats = StatsResponse {
            state: ReplicaState::Live.into(),
            ..Default::default()
        };
        assert_eq!(replica(&stats), []);
    }

    #[test]
    fn each_trouble_is_said() {
        let lossy = EndpointInfo {
            lost: 7,
            parked: 3,
            ..endpoint(Trust::Suspect)
        };
        let text: Vec<String> = endpoints(&[lossy], 2_000, 300)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(text.len(), 3);
        assert!(text[0].contains("7 messages lost"));
        let renewed = endpoints(&[endpoint(Trust::Suspect)], 1_010, 300);
        assert!(renewed[0].seen.contains("connection was renewed"));
        assert!(text[1].contains("3 blocks wait"));
        assert!(text[2].contains("silent for 1000 s"));
        assert!(
            endpoints(&[], 0, 300)[0]
                .advice
                .contains("enable_kv_cache_events")
        );
    }
}
