//! Every mistake that a manifest can have, each with the words it is told in.

use super::folder::Folder;
use router_discovery::{FileSettings, Origin, follow_files};

const POOL: &str = "apiVersion: inference.networking.x-k8s.io/v1alpha2
kind: InferencePool
metadata: {name: p}
spec: {targetPortNumber: 8000, selector: {app: a}}
";
const STABLE: &str = "apiVersion: inference.networking.k8s.io/v1
kind: InferencePool
metadata: {name: p}
spec:
  selector: {matchLabels: {app: a}}
  targetPorts: [{number: 8000}]
";
const POLICY: &str = "apiVersion: inferenceextension.alibabacloud.com/v1alpha1
kind: InferenceTrafficPolicy
metadata: {name: t}
spec:
  poolRef: {name: p}
  profile: {single: {trafficPolicy: {prefixCache: {mode: tracking, trackingConfig: {indexerConfig: {tokenProcessorConfig: {blockSize: 64, hashSeed: 42, model: m}}}}}}}
";
const MODEL: &str = "apiVersion: inference.networking.x-k8s.io/v1alpha2
kind: InferenceModel
metadata: {name: m}
spec: {modelName: m, criticality: Critical, poolRef: {name: p}, targetModels: [{name: x, weight: 1}, {name: y, weight: 2}]}
";
const OBJECTIVE: &str = "apiVersion: inference.networking.x-k8s.io/v1alpha2
kind: InferenceObjective
metadata: {name: o}
spec: {priority: 1, poolRef: {name: p}}
";
const ENDPOINTS: &str = "apiVersion: kvatlas/v1
kind: KVAtlasEndpoints
metadata: {name: e}
spec: {endpoints: [{name: a, address: \"10.0.0.1:1\"}, {address: 10.0.0.2}]}
";
const POD: &str = "apiVersion: v1
kind: Pod
metadata: {name: pod, labels: {app: a}}
status: {podIP: 10.0.0.3}
";

fn all() -> String {
    [POOL, POLICY, MODEL, OBJECTIVE, ENDPOINTS, POD].join("---\n")
}

async fn told(text: &str) -> String {
    let folder = Folder::new();
    folder.write("m.yaml", text);
    match follow_files(folder.settings()).await {
        Ok(_) => "no mistake".to_owned(),
        Err(mistakes) => mistakes.to_string(),
    }
}

#[tokio::test]
async fn without_a_mistake_all_of_it_is_read() {
    assert_eq!(told(&all()).await, "no mistake");
    assert_eq!(told(STABLE).await, "no mistake");
}

/// One change, and what must be told of it.
async fn each(text: &str, changes: &[(&str, &str, &str)]) {
    for (from, to, expected) in changes {
        assert!(text.contains(from), "{from} is in the text");
        let told = told(&text.replacen(from, to, 1)).await;
        assert!(
            told.contains(expected),
            "{to}: expected {expected}; told: {told}"
        );
    }
}

#[tokio::test]
async fn mistakes_of_pools() {
    let text = all();
    each(
        &text,
        &[
            ("targetPortNumber: 8000", "targetPortNumber: 0", "document 1: spec.targetPortNumber: 0 is not accepted; accepted: a whole number from 1 to 65535"),
            ("targetPortNumber: 8000", "targetPortNumber: \"8000\"", "\"8000\" is not accepted"),
            ("targetPortNumber: 8000, ", "", "spec.targetPortNumber: missing"),
            ("selector: {app: a}", "selector: {}", "spec.selector: empty: it would select every pod"),
            ("selector: {app: a}", "selector: {app: 3}", "spec.selector.app: 3 is not accepted; accepted: a text"),
            ("selector: {app: a}", "selector: {app: a}, targetPorts: []", "spec.targetPorts: unknown field; accepted: extensionRef, selector, targetPortNumber"),
            ("metadata: {name: p}", "metadata: {}", "metadata.name: missing"),
            ("metadata: {name: p}", "metadata: {name: p, annotations: {inference.networking.x-k8s.io/routing-strategy: PREFIX}}", "accepted: PREFIX_CACHE, DEFAULT"),
            ("v1alpha2", "v1alpha1", "accepted: inference.networking.k8s.io/v1, inference.networking.x-k8s.io/v1alpha2"),
            ("kind: InferencePool", "kind: InferenceModelRewrite", "is not supported; accepted: InferencePool"),
            ("kind: InferencePool", "kind: [1]", "kind: a list is not accepted"),
            ("spec: {targetPortNumber", "x: 1\nspec: {targetPortNumber", "document 1: x: unknown field"),
        ],
    )
    .await;
    each(
        STABLE,
        &[
            (
                "[{number: 8000}]",
                "[]",
                "spec.targetPorts: no ports; accepted: 1 to 8",
            ),
            (
                "[{number: 8000}]",
                "[{number: 1}, {number: 1}]",
                "spec.targetPorts[1].number: 1 comes twice",
            ),
            (
                "[{number: 8000}]",
                "[{number: 70000}]",
                "spec.targetPorts[0].number: 70000 is not accepted",
            ),
            (
                "[{number: 8000}]",
                "[{n: 1},{n: 1},{n: 1},{n: 1},{n: 1},{n: 1},{n: 1},{n: 1},{n: 1}]",
                "9 items; accepted: at most 8",
            ),
            (
                "[{number: 8000}]",
                "[{number: 1}]\n  appProtocol: kubernetes.io/h2c",
                "spec.appProtocol: \"kubernetes.io/h2c\" is not accepted; accepted: http",
            ),
            (
                "[{number: 8000}]",
                "[{number: 1}]\n  endpointPickerRef: {name: x, failureMode: Open}",
                "spec.endpointPickerRef.failureMode",
            ),
            (
                "matchLabels: {app: a}",
                "matchExpressions: []",
                "spec.selector.matchExpressions: unknown field; accepted: matchLabels",
            ),
            (
                "{matchLabels: {app: a}}",
                "{app: a}",
                "spec.selector.matchLabels: missing",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn mistakes_of_policies() {
    each(
        &all(),
        &[
            ("poolRef: {name: p}\n", "poolRef: {name: q}\n", "spec.poolRef: there is no InferencePool \"q\" in namespace default; there are: default/p"),
            ("poolRef: {name: p}\n", "poolRef: {name: p, group: inference.networking.k8s.io}\n", "there is no InferencePool \"p\" of group inference.networking.k8s.io"),
            ("poolRef: {name: p}\n", "poolRef: {name: p, kind: Service}\n", "spec.poolRef.kind: \"Service\" is not accepted; accepted: InferencePool"),
            ("mode: tracking", "mode: precise", "prefixCache.mode: \"precise\" is not accepted; accepted: tracking, estimate"),
            ("mode: tracking", "mode: estimate", "trackingConfig: belongs to mode tracking"),
            ("blockSize: 64", "blockSize: 0", "tokenProcessorConfig.blockSize: 0 is not accepted"),
            ("blockSize: 64", "blockSize: 64, chunk: 1", "tokenProcessorConfig.chunk: unknown field; accepted: blockSize, hashSeed, model"),
            ("hashSeed: 42", "hashSeed: \"042\"", "without leading zeros"),
            ("hashSeed: 42", "hashSeed: -1", "hashSeed: -1 is not accepted"),
            ("hashSeed: 42", "hashSeed: random", "\"random\" is not accepted"),
            ("model: m", "model: 3", "tokenProcessorConfig.model: 3 is not accepted"),
            ("profile: {single:", "profile: {pd: {}, single:", "spec.profile.pd: prefill and decode on endpoints of their own is not supported"),
            ("{prefixCache:", "{queue: {}, prefixCache:", "trafficPolicy.queue: unknown field; accepted: prefixCache"),
            ("metadata: {name: t}", "metadata: {name: t, namespace: other}", "in namespace other"),
        ],
    )
    .await;
    let second = POLICY.replace("name: t}", "name: t2}");
    let told_of_two = told(&format!("{}---\n{second}", all())).await;
    assert!(
        told_of_two.contains("document 7: spec.poolRef: InferencePool default/p has the InferenceTrafficPolicy default/t already"),
        "{told_of_two}"
    );
}

#[tokio::test]
async fn a_hash_seed_is_a_number_or_that_number_as_text() {
    for seed in ["42", "\"42\"", "0", "4294967295"] {
        let text = all().replace("hashSeed: 42", &format!("hashSeed: {seed}"));
        assert_eq!(told(&text).await, "no mistake", "{seed}");
    }
}

#[tokio::test]
async fn mistakes_of_models_and_objectives() {
    each(
        &all(),
        &[
            ("criticality: Critical", "criticality: critical", "spec.criticality: \"critical\" is not accepted; accepted: Critical, Standard, Sheddable"),
            ("modelName: m, ", "", "spec.modelName: missing"),
            ("weight: 1}, {name: y, weight: 2}", "weight: 0}, {name: y, weight: 0}", "spec.targetModels: the sum of the weights is 0"),
            ("weight: 1}, {name: y, weight: 2}", "weight: 1}, {name: y}", "accepted: all or none"),
            ("weight: 1}, {name: y, weight: 2}", "weight: 1}, {name: x, weight: 2}", "spec.targetModels[1]: the target \"x\" comes twice"),
            ("weight: 1}, {name: y", "weight: -1}, {name: y", "spec.targetModels[0].weight: -1 is not accepted"),
            ("priority: 1", "priority: high", "spec.priority: \"high\" is not accepted"),
            ("priority: 1", "priority: 99999999999", "spec.priority"),
            ("metadata: {name: o}", "metadata: {name: o}\nextra: 1", "extra: unknown field"),
        ],
    )
    .await;
    let second = MODEL.replace("{name: m}", "{name: m2}");
    let told_of_two = told(&format!("{}---\n{second}", all())).await;
    assert!(
        told_of_two.contains("\"m\" is also the modelName of InferenceModel default/m"),
        "{told_of_two}"
    );
    let told_of_names = told(&format!("{}---\n{OBJECTIVE}", all())).await;
    assert!(
        told_of_names.contains("InferenceObjective default/o is there already"),
        "{told_of_names}"
    );
}

#[tokio::test]
async fn mistakes_of_endpoints() {
    each(
        &all(),
        &[
            ("10.0.0.1:1", "engine:1", "spec.endpoints[0].address: \"engine:1\" is not accepted; accepted: ip, ip:port or [ip]:port"),
            ("10.0.0.1:1", "10.0.0.1:0", "is not accepted"),
            ("10.0.0.1:1", "10.0.0.2:8000", "spec.endpoints[1]: 10.0.0.2:8000 is already the endpoint \"a\""),
            ("{name: a, address", "{nam: a, address", "spec.endpoints[0].nam: unknown field"),
            ("podIP: 10.0.0.3", "podIP: x", "status.podIP is not an address"),
            ("podIP: 10.0.0.3", "podIP: 10.0.0.2", "10.0.0.2:8000 is already the endpoint"),
            ("metadata: {name: pod, ", "metadata: {", "metadata.name is missing"),
        ],
    )
    .await;
    let other = POOL.replace("name: p}", "name: other}");
    let folder = Folder::new();
    folder.write("m.yaml", &format!("{}---\n{other}", all()));
    let settings = FileSettings {
        pool_name: Some("p".to_owned()),
        ..folder.settings()
    };
    let error = follow_files(settings).await.expect_err("which pool?");
    assert!(
        error
            .to_string()
            .contains("spec.poolRef: missing, and there are several"),
        "{error}"
    );
}

#[tokio::test]
async fn mistakes_of_files() {
    let folder = Folder::new();
    let empty = follow_files(folder.settings())
        .await
        .expect_err("nothing there");
    assert!(
        empty
            .to_string()
            .contains("no *.yaml, *.yml or *.json file"),
        "{empty}"
    );
    let missing = FileSettings {
        paths: vec![folder.path("nothing.yaml")],
        ..folder.settings()
    };
    let missing = follow_files(missing).await.expect_err("nothing there");
    assert!(
        missing.to_string().contains("nothing.yaml: cannot be read"),
        "{missing}"
    );
    std::fs::write(folder.path("a.yaml"), [0xff, 0xfe]).expect("writable");
    let not_text = follow_files(folder.settings()).await.expect_err("not text");
    assert!(
        not_text.to_string().contains("a.yaml: not UTF-8"),
        "{not_text}"
    );
    folder.write("a.yaml", "a: [\n");
    let broken = follow_files(folder.settings()).await.expect_err("not YAML");
    assert!(
        broken.to_string().contains("a.yaml, document 1"),
        "{broken}"
    );
    folder.write("a.yaml", "a: 1\n");
    let nameless = follow_files(folder.settings()).await.expect_err("no kind");
    assert!(nameless.to_string().contains("kind: missing"), "{nameless}");
    folder.write("a.yaml", &" ".repeat(5 << 20));
    let long = follow_files(folder.settings()).await.expect_err("too long");
    assert!(
        long.to_string().contains("longer than 4194304 bytes"),
        "{long}"
    );
}

#[tokio::test]
async fn mistakes_of_all_files_are_told_at_once() {
    let folder = Folder::new();
    folder.write("a.yaml", &POOL.replace("8000", "0"));
    folder.write(
        "b.yaml",
        &format!("{POLICY}---\n{}", MODEL.replace("Critical", "No")),
    );
    folder.write("c.yaml", "not: [yaml");
    let error = follow_files(folder.settings()).await.expect_err("three");
    let told: Vec<String> = error.told().iter().map(ToString::to_string).collect();
    assert_eq!(error.count(), 3, "{told:?}");
    let origins: Vec<(String, usize)> = error
        .told()
        .iter()
        .filter_map(|mistake| match &mistake.origin {
            Origin::File { path, document } => {
                let name = path.file_name()?.to_str()?.to_owned();
                Some((name, *document))
            }
            _ => None,
        })
        .collect();
    let expected = [("a.yaml", 1), ("b.yaml", 2), ("c.yaml", 1)];
    assert_eq!(
        origins,
        expected.map(|(name, number)| (name.to_owned(), number))
    );
}

#[tokio::test]
async fn of_very_many_mistakes_the_rest_is_counted() {
    let many: String = (0..500)
        .map(|number| {
            format!(
                "---\n{}",
                MODEL
                    .replace("{name: m}", &format!("{{name: m{number}}}"))
                    .replace("Critical", "No")
            )
        })
        .collect();
    let told = told(&format!("{POOL}{many}")).await;
    assert!(
        told.ends_with("and 400 more"),
        "{}",
        &told[told.len() - 200..]
    );
}
