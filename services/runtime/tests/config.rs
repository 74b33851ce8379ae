//! Configuration as an operator meets it: files, variables, overrides, and
//! the messages for what is wrong with them.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};
use services_runtime::config::{
    ByteSize, ConfigErrors, ENV_PREFIX, HumanDuration, ListenAddress, MAX_FILE_BYTES, Mistakes,
    Sources, to_yaml,
};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Demo {
    scorer: Scorer,
    connect: Vec<String>,
    sizes: Vec<u16>,
    store: Store,
    models: BTreeMap<String, Model>,
    note: Option<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Scorer {
    http_listen: ListenAddress,
    deadline: HumanDuration,
    cache_size: ByteSize,
    max_prompts: u16,
    fast: bool,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Store {
    Memory,
    Disk(Disk),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Disk {
    path: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Model {
    block_size: u32,
    #[serde(default)]
    alias: String,
}

impl Default for Demo {
    fn default() -> Self {
        Self {
            scorer: Scorer::default(),
            connect: Vec::new(),
            sizes: Vec::new(),
            store: Store::Memory,
            models: BTreeMap::new(),
            note: Some("by default".to_owned()),
        }
    }
}

impl Default for Scorer {
    fn default() -> Self {
        Self {
            http_listen: ListenAddress::any(8090),
            deadline: HumanDuration::from_secs(5),
            cache_size: ByteSize::mib(64),
            max_prompts: 100,
            fast: false,
        }
    }
}

impl Default for Disk {
    fn default() -> Self {
        Self {
            path: "./data".to_owned(),
        }
    }
}

fn check(demo: &Demo, mistakes: &mut Mistakes) {
    if demo.scorer.max_prompts == 0 {
        mistakes.push("scorer.max_prompts", 0, "1 or more");
    }
}

/// Loads `yaml` with variables and overrides, both as `name=value`.
fn load(yaml: &str, variables: &[&str], overrides: &[&str]) -> Result<Demo, ConfigErrors> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(yaml.as_bytes()).unwrap();
    load_file(Some(file.path()), variables, overrides)
}

fn load_file(
    path: Option<&Path>,
    variables: &[&str],
    overrides: &[&str],
) -> Result<Demo, ConfigErrors> {
    let pairs = |list: &[&str]| -> Vec<(String, String)> {
        let pair = |entry: &&str| {
            let (name, value) = entry.split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        };
        list.iter().map(pair).collect()
    };
    Sources::new(path, pairs(overrides))
        .with_environment(ENV_PREFIX, pairs(variables))
        .load_checked(check)
}

/// The message, with the file's name made the same for every run.
fn message(yaml: &str, variables: &[&str], overrides: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("demo.yaml");
    std::fs::write(&path, yaml).unwrap();
    let error = load_file(Some(&path), variables, overrides).unwrap_err();
    error
        .to_string()
        .replace(&path.display().to_string(), "demo.yaml")
}

#[test]
fn nothing_given_is_the_default() {
    assert_eq!(load_file(None, &[], &[]).unwrap(), Demo::default());
    assert_eq!(load("", &[], &[]).unwrap(), Demo::default());
    assert_eq!(
        load("# only a comment\n", &[], &[]).unwrap(),
        Demo::default()
    );
}

#[test]
fn a_section_with_all_keys_commented_out_is_the_default() {
    let yaml = "scorer:\n  # fast: true\nconnect:\nmodels:\n";
    assert_eq!(load(yaml, &[], &[]).unwrap(), Demo::default());
    assert_eq!(load("note: ~\n", &[], &[]).unwrap().note, None);
}

#[test]
fn later_sources_win() {
    let yaml = "scorer: {deadline: 1s, max_prompts: 1, cache_size: 1MiB}\n";
    let variables = [
        "KVATLAS__SCORER__DEADLINE=2s",
        "KVATLAS__SCORER__MAX_PROMPTS=2",
        "OTHER__SCORER__FAST=true",
        "KVATLAS_CONFIG=x",
    ];
    let demo = load(yaml, &variables, &["scorer.deadline=3s"]).unwrap();
    assert_eq!(demo.scorer.deadline, HumanDuration::from_secs(3));
    assert_eq!(demo.scorer.max_prompts, 2);
    assert_eq!(demo.scorer.cache_size, ByteSize::mib(1));
    assert!(!demo.scorer.fast);
}

#[test]
fn lists_maps_and_texts_from_variables() {
    let variables = [
        "KVATLAS__CONNECT=tcp://*:5557, tcp://b:1",
        "KVATLAS__SIZES=[16, 32]",
        "KVATLAS__NOTE=1.10",
        "KVATLAS__SCORER__HTTP_LISTEN=[::1]:80",
        "KVATLAS__STORE=memory",
    ];
    let overrides = [
        "models.\"org/m-2.5\".block_size=16",
        "models.\"org/m-2.5\".alias=*x",
        "connect.1=tcp://c:1",
    ];
    let demo = load("connect: [x]\n", &variables[1..], &["connect.1=y"]).unwrap();
    assert_eq!(demo.connect, ["x", "y"]);
    let demo = load("", &variables, &overrides[..2]).unwrap();
    assert_eq!(demo.connect, ["tcp://*:5557", "tcp://b:1"]);
    assert_eq!(demo.sizes, [16, 32]);
    assert_eq!(demo.note.as_deref(), Some("1.10"));
    assert_eq!(demo.scorer.http_listen.host(), "::1");
    assert_eq!(demo.models["org/m-2.5"].block_size, 16);
    assert_eq!(demo.models["org/m-2.5"].alias, "*x");
}

#[test]
fn what_is_printed_reads_back() {
    let yaml = "store: {disk: {path: /d}}\nmodels: {\"a.b\": {block_size: 16}}\nnote: ~\n";
    let demo = load(yaml, &[], &[]).unwrap();
    assert_eq!(
        demo.store,
        Store::Disk(Disk {
            path: "/d".to_owned()
        })
    );
    let printed = to_yaml(&demo).unwrap();
    assert_eq!(load(&printed, &[], &[]).unwrap(), demo, "{printed}");
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let yaml = "\
# a file with everything wrong
scorer:
  http-listen: :1
  deadline: 5
  max_prompts: 70000
  fast: 'yes'
  cache_size: 5 mb
  block_size: 3
conect: []
connect: {}
sizes:
  - 16
  - many
  - -1
models:
  a:
    alias: no block size
  b: {block_size: [1], color: red}
  c: {block_size: 16}
store: {dis: {}}
max_prompts: 2
";
    let variables = ["KVATLAS__SCORER__FASTT=true", "KVATLAS__SIZES__X=1"];
    let overrides = ["scorer..x=1", "scorer.fast.deep=1", "nonsense=1"];
    let seen = message(yaml, &variables, &overrides);
    assert_eq!(
        seen.trim_end(),
        include_str!("golden/mistakes.txt").trim_end()
    );
}

#[test]
fn a_wrong_relation_is_reported_with_its_line_next_to_the_rest() {
    let seen = message("note: []\nscorer:\n  max_prompts: 0\n", &[], &[]);
    assert_eq!(
        seen,
        "2 mistakes in the configuration\
         \n  note: saw a list, want text (demo.yaml line 1)\
         \n  scorer.max_prompts: saw 0, want 1 or more (demo.yaml line 3)"
    );
    let seen = message("", &["KVATLAS__SCORER__MAX_PROMPTS=0"], &[]);
    assert!(
        seen.ends_with("(environment variable KVATLAS__SCORER__MAX_PROMPTS)"),
        "{seen}"
    );
}

#[test]
fn broken_files_are_named() {
    let seen = message("a: [1\nb: 2\n", &[], &[]);
    assert!(seen.contains("want valid YAML (demo.yaml line "), "{seen}");
    let seen = message("a: 1\na: 2\n", &[], &[]);
    assert!(seen.contains("duplicate entry"), "{seen}");
    let seen = message("- a\n", &[], &[]);
    assert!(seen.contains("want lines of the form key: value"), "{seen}");
    let seen = message(
        &format!("a: {}1{}", "[".repeat(40), "]".repeat(40)),
        &[],
        &[],
    );
    assert!(seen.contains("want at most 16 sections"), "{seen}");
    let long = "#".repeat(usize::try_from(MAX_FILE_BYTES).unwrap() + 1);
    let seen = message(&long, &[], &[]);
    assert!(seen.contains("want a file of at most 1 MiB"), "{seen}");
    let absent = load_file(Some(Path::new("/no/such/file.yaml")), &[], &[]);
    let seen = absent.unwrap_err().to_string();
    assert!(seen.contains("/no/such/file.yaml"), "{seen}");
}

#[test]
fn no_override_can_panic_the_reader() {
    for value in ["", "*", "&a *a", "{", "!x y", "[[[[[[", "\u{0}", "? x"] {
        for path in [
            "scorer", "connect", "models.a", "store", "note", "sizes.0", "",
        ] {
            let _ = load("", &[], &[format!("{path}={value}").as_str()]);
        }
    }
}
