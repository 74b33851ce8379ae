//! The shape of the project as a test: who may import whom, who owns which
//! library, and how large a file may get. The reasons are in
//! `docs/ARCHITECTURE.md`.
//!
//! `KVATLAS_WRITE_GOLDEN=1` writes the graph anew after a wanted change.

#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/sources.rs"]
mod sources;
#[path = "architecture/workspace.rs"]
mod workspace;

use std::fmt::Write;
use std::fs;

use workspace::{Kind, Package, Workspace, root};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/dependencies.txt");
const WRITE_GOLDEN: &str = "KVATLAS_WRITE_GOLDEN";
const MAX_LINES: usize = 400;

fn assert_none(what: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{what}:\n  {}", faults.join("\n  "));
}

/// One paragraph per package: ours, others', and what only its tests use.
fn drawn(workspace: &Workspace) -> String {
    let mut text = String::new();
    for package in &workspace.packages {
        writeln!(text, "{}", package.name).unwrap();
        let rows = [
            ("ours", package.imports(workspace, Kind::Normal, true)),
            ("uses", package.imports(workspace, Kind::Normal, false)),
            ("build", package.imports(workspace, Kind::Build, false)),
            ("tests", package.imports(workspace, Kind::Test, true)),
        ];
        for (label, names) in rows {
            if !names.is_empty() {
                writeln!(text, "  {label}: {}", names.join(" ")).unwrap();
            }
        }
    }
    text
}

#[test]
fn the_dependency_graph_is_the_agreed_one() {
    let seen = drawn(&Workspace::read());
    if std::env::var_os(WRITE_GOLDEN).is_some() {
        fs::write(GOLDEN, &seen).unwrap();
        return;
    }
    let agreed = fs::read_to_string(GOLDEN).unwrap_or_default();
    let changed: Vec<String> = seen
        .lines()
        .filter(|line| !agreed.lines().any(|old| old == *line))
        .map(|line| format!("now:    {line}"))
        .chain(
            agreed
                .lines()
                .filter(|line| !seen.lines().any(|new| new == *line))
                .map(|line| format!("agreed: {line}")),
        )
        .collect();
    assert!(
        seen == agreed,
        "dependencies changed; if that is wanted, run this test with {WRITE_GOLDEN}=1 \
         and commit tests/golden/dependencies.txt:\n  {}",
        changed.join("\n  ")
    );
}

#[test]
fn imports_point_only_downwards() {
    let workspace = Workspace::read();
    let mut faults = Vec::new();
    for package in &workspace.packages {
        let Some(allowed) = rules::imports_of(&package.name) else {
            faults.push(format!("{} has no rule: add it to rules.rs", package.name));
            continue;
        };
        for name in package.imports(&workspace, Kind::Normal, true) {
            if !allowed.normal(&name) {
                faults.push(format!("{} must not import {name}", package.name));
            }
        }
        for name in package.imports(&workspace, Kind::Test, true) {
            if !allowed.in_tests(&name) {
                let fault = format!("{} must not import {name} in tests", package.name);
                faults.push(fault);
            }
        }
    }
    assert_none("imports against the direction", &faults);
}

#[test]
fn every_library_has_its_owners() {
    let workspace = Workspace::read();
    let mut faults = Vec::new();
    for package in workspace.packages.iter().filter(|p| p.is_product()) {
        for kind in [Kind::Normal, Kind::Build] {
            for library in package.imports(&workspace, kind, false) {
                if let Some(owners) = rules::owners_of(&library)
                    && !owners.contains(&package.name.as_str())
                {
                    let owners = owners.join(", ");
                    faults.push(format!("{}: {library} belongs to {owners}", package.name));
                }
            }
        }
    }
    assert_none("libraries outside the crates that own them", &faults);
}

#[test]
fn sync_cores_have_no_runtime_and_no_sockets() {
    let workspace = Workspace::read();
    let mut faults = Vec::new();
    for name in rules::SYNC_CORES {
        let Some(package) = workspace.packages.iter().find(|p| p.name == name) else {
            faults.push(format!("{name} is not in the workspace"));
            continue;
        };
        for library in package.imports(&workspace, Kind::Normal, false) {
            if rules::ASYNC_LIBRARIES.contains(&library.as_str()) {
                faults.push(format!("{name} must not import {library}"));
            }
        }
    }
    assert_none("sync cores that are none", &faults);
}

#[test]
fn only_programs_use_anyhow() {
    let workspace = Workspace::read();
    let faults: Vec<String> = workspace
        .packages
        .iter()
        .filter(|package| !package.folder.starts_with("services/"))
        .filter(|package| package.is_product())
        .filter(|package| {
            package
                .imports(&workspace, Kind::Normal, false)
                .contains(&"anyhow".to_owned())
        })
        .map(|package| format!("{}: give it an error type", package.name))
        .collect();
    assert_none("anyhow in libraries", &faults);
}

#[test]
fn manifests_are_regular() {
    let workspace = Workspace::read();
    let mut faults = Vec::new();
    for package in &workspace.packages {
        let expected = package.folder.replace('/', "-");
        if package.name != expected {
            faults.push(format!("{}: its name should be {expected}", package.folder));
        }
        let manifest = package.manifest();
        if !manifest.contains("[lints]\nworkspace = true\n") {
            faults.push(format!("{}: no [lints] workspace = true", package.folder));
        }
        if !workspace
            .manifest
            .contains(&format!("\"{}\",", package.folder))
        {
            let fault = format!("{}: not listed in the root manifest", package.folder);
            faults.push(fault);
        }
        faults.extend(own_versions(package, &manifest));
    }
    assert_none("irregular manifests", &faults);
}

/// Versions are chosen once, in the root manifest.
fn own_versions(package: &Package, manifest: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut in_dependencies = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            in_dependencies = line.contains("dependencies");
        } else if in_dependencies && (line.contains(" = \"") || line.contains("version =")) {
            let fault = format!("{}: {line}: choose it in the root manifest", package.folder);
            faults.push(fault);
        }
    }
    faults
}

#[test]
fn there_is_one_tls_and_it_is_rustls_with_ring() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let faults: Vec<String> = rules::FOREIGN_TLS
        .iter()
        .filter(|name| lock.contains(&format!("name = \"{name}\"\n")))
        .map(|name| format!("{name}: `cargo tree -i {name}` says through whom"))
        .collect();
    assert_none("another TLS in Cargo.lock", &faults);
}

#[test]
fn files_are_small_and_named_like_their_module() {
    let mut faults = Vec::new();
    for source in sources::rust_files(&root()) {
        let lines = source.text.lines().count();
        if lines > MAX_LINES {
            faults.push(format!("{}: {lines} lines", source.path));
        }
        if source.path.ends_with("/mod.rs") {
            faults.push(format!("{}: name it after its folder", source.path));
        }
    }
    assert_none("files over 400 lines, or called mod.rs", &faults);
}

#[test]
fn bans_of_the_root_hold_everywhere() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap_or_default();
    let banned = |text: &str| -> Vec<String> {
        text.lines()
            .filter(|line| line.trim_start().starts_with("{ path"))
            .map(str::to_owned)
            .collect()
    };
    let root_bans = banned(&read("clippy.toml"));
    assert!(!root_bans.is_empty());
    let mut faults = Vec::new();
    for path in rules::CLIPPY_FILES {
        let own = banned(&read(path.file));
        for ban in &root_bans {
            let lifted = path.may_lift.iter().any(|name| ban.contains(name));
            if !own.contains(ban) && !lifted {
                faults.push(format!("{}: lacks {ban}", path.file));
            }
        }
        for name in path.must_ban {
            if !own.iter().any(|ban| ban.contains(name)) {
                faults.push(format!("{}: does not ban {name}", path.file));
            }
        }
    }
    assert_none("bans that do not hold everywhere", &faults);
}
