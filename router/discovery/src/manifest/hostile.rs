//! Whatever is written in a manifest, reading it ends and does not panic.

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::{Manifests, Mistake, Origin, PoolChoice, documents, read_object};

const MANIFESTS: [&str; 4] = [
    include_str!("../../../../testdata/manifests/tracking.yaml"),
    include_str!("../../../../testdata/manifests/estimation.yaml"),
    include_str!("../../../../testdata/manifests/stable.yaml"),
    include_str!("../../../../testdata/manifests/endpoints.yaml"),
];

/// Words that lead deep into the readers.
const WORDS: [&str; 44] = [
    "apiVersion",
    "kind",
    "metadata",
    "name",
    "namespace",
    "annotations",
    "labels",
    "spec",
    "status",
    "selector",
    "matchLabels",
    "targetPorts",
    "targetPortNumber",
    "number",
    "poolRef",
    "group",
    "profile",
    "single",
    "pd",
    "trafficPolicy",
    "prefixCache",
    "mode",
    "tracking",
    "trackingConfig",
    "indexerConfig",
    "tokenProcessorConfig",
    "blockSize",
    "hashSeed",
    "model",
    "modelName",
    "criticality",
    "targetModels",
    "weight",
    "priority",
    "endpoints",
    "address",
    "items",
    "podIP",
    "conditions",
    "endpointPickerRef",
    "port",
    "extensionRef",
    "failureMode",
    "inference.networking.x-k8s.io/routing-strategy",
];

const KINDS: [(&str, &str); 8] = [
    ("inference.networking.k8s.io/v1", "InferencePool"),
    ("inference.networking.x-k8s.io/v1alpha2", "InferencePool"),
    (
        "inferenceextension.alibabacloud.com/v1alpha1",
        "InferenceTrafficPolicy",
    ),
    ("inference.networking.x-k8s.io/v1alpha2", "InferenceModel"),
    (
        "inference.networking.x-k8s.io/v1alpha2",
        "InferenceObjective",
    ),
    ("kvatlas/v1", "KVAtlasEndpoints"),
    ("v1", "Pod"),
    ("v1", "List"),
];

fn origin() -> Origin {
    Origin::File {
        path: "hostile.yaml".into(),
        document: 1,
    }
}

/// Reads a value to the end: either it makes sense, or it has mistakes.
fn read(value: &Value) -> (bool, Vec<Mistake>) {
    let read = read_object(value, origin(), "default");
    let mistakes = read.mistakes.clone();
    let understood = !read.resources.is_empty() || !read.skipped.is_empty();
    let mut manifests = Manifests::default();
    manifests.add(&origin(), read);
    let mut together = Vec::new();
    let resolved = manifests.resolve(&PoolChoice::default(), &[], &mut together);
    assert!(resolved.is_some() || !together.is_empty() || !mistakes.is_empty());
    (understood, mistakes)
}

fn value() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(&WORDS[..]).prop_map(str::to_owned);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0_i64..70_000).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(Value::from("10.0.0.1:80")),
    ];
    leaf.prop_recursive(6, 64, 8, move |inner| {
        let key = prop_oneof![4 => word.clone(), 1 => ".{0,6}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,400}") {
        for document in documents(&text) {
            if let Ok(value) = document.content {
                let (understood, mistakes) = read(&value);
                prop_assert!(understood || !mistakes.is_empty());
            }
        }
    }

    #[test]
    fn manifests_with_bytes_changed_are_read_or_refused(
        which in 0..MANIFESTS.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<char>()), 1..8),
    ) {
        let mut text: Vec<char> = MANIFESTS[which].chars().collect();
        for (place, new) in changes {
            let place = place.index(text.len());
            text[place] = new;
        }
        let text: String = text.into_iter().collect();
        for document in documents(&text) {
            if let Ok(value) = document.content {
                let (understood, mistakes) = read(&value);
                prop_assert!(understood || !mistakes.is_empty());
            }
        }
    }

    #[test]
    fn our_kinds_with_anything_in_them_are_read_or_refused(
        kind in prop::sample::select(&KINDS[..]),
        metadata in value(),
        spec in value(),
        other in prop::option::of(value()),
    ) {
        let mut fields = Map::new();
        fields.insert("apiVersion".to_owned(), kind.0.into());
        fields.insert("kind".to_owned(), kind.1.into());
        fields.insert("metadata".to_owned(), metadata);
        fields.insert("spec".to_owned(), spec.clone());
        fields.insert("items".to_owned(), Value::from(vec![spec]));
        if let Some(other) = other {
            fields.insert("status".to_owned(), other);
        }
        let (understood, mistakes) = read(&Value::Object(fields));
        prop_assert!(understood || !mistakes.is_empty());
    }
}

#[test]
fn the_test_data_itself_makes_sense() {
    for text in MANIFESTS {
        for document in documents(text) {
            let value = document.content.expect("YAML");
            let read = read_object(&value, origin(), "default");
            assert_eq!(read.mistakes, []);
        }
    }
}
