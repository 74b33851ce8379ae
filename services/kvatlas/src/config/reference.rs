//! The reference page must name every setting with its default, and no other.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{AdapterSection, Config, ConnectTarget, EngineSection, ModelSection, SourceSection};

const PAGE: &str = include_str!("../../../../docs/configuration.md");

/// A configuration in which every list has an element and every option a value.
fn complete() -> Config {
    let mut config = Config::default();
    config.ingest.connect = vec![ConnectTarget::parse("tcp://a:1").unwrap()];
    config.scorer.stores = vec![SourceSection::default()];
    config.models = vec![ModelSection {
        name: String::new(),
        aliases: Vec::new(),
        source: None,
        chat_template: None,
        chat_template_kwargs: serde_json::Map::new(),
        max_model_len: None,
        server: super::ServerKind::Vllm,
        profile: proto_model::Profile::Content,
        block_size: None,
        engine: Some(EngineSection {
            algorithm: String::new(),
            hash_seed: None,
            version: None,
        }),
        adapters: vec![AdapterSection {
            name: String::new(),
            id: None,
            path: None,
        }],
    }];
    config
}

/// Sections that are documented elsewhere under another name.
const AS_ELSEWHERE: [(&str, &str); 2] = [
    ("scorer.stores[].tls", "as `store.tls"),
    ("scorer.stores[].redis", "as `store.redis"),
];

fn walk(path: &str, value: &Value, found: &mut BTreeMap<String, String>) {
    if let Some((_, same)) = AS_ELSEWHERE.iter().find(|(known, _)| *known == path) {
        found.insert(path.to_owned(), (*same).to_owned());
        return;
    }
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                walk(&path, value, found);
            }
        }
        Value::Array(list) if !list.is_empty() => walk(&format!("{path}[]"), &list[0], found),
        Value::String(text) => {
            found.insert(path.to_owned(), text.clone());
        }
        other => {
            found.insert(path.to_owned(), other.to_string());
        }
    }
}

fn documented() -> BTreeMap<String, String> {
    let cell = |text: &str| text.trim().trim_matches('`').to_owned();
    PAGE.lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .map(|line| {
            let mut cells = line.split('|');
            (cell(cells.next().unwrap()), cell(cells.next().unwrap()))
        })
        .collect()
}

#[test]
fn every_setting_is_documented_with_its_default() {
    let mut settings = BTreeMap::new();
    walk(
        "",
        &serde_json::to_value(complete()).unwrap(),
        &mut settings,
    );
    let documented = documented();
    let keys = |map: &BTreeMap<String, String>| map.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&documented), keys(&settings));
    for (key, default) in &settings {
        // A required or absent value has no default to compare.
        if !default.is_empty() && default != "null" && key != "ingest.connect[].address" {
            assert_eq!(&documented[key], default, "{key}");
        }
    }
}
