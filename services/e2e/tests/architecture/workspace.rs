//! The workspace as cargo sees it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

/// All packages of the workspace.
pub(crate) struct Workspace {
    /// In the order of the root manifest's folders.
    pub(crate) packages: Vec<Package>,
    /// The text of the root manifest.
    pub(crate) manifest: String,
}

/// One package and what it imports directly.
pub(crate) struct Package {
    pub(crate) name: String,
    /// Its folder below the root, with slashes.
    pub(crate) folder: String,
    dependencies: Vec<Dependency>,
}

/// What a dependency is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Build,
    Test,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<RawPackage>,
}

#[derive(Deserialize)]
struct RawPackage {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

/// The folder of the root manifest.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

impl Workspace {
    pub(crate) fn read() -> Self {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args([
                "metadata",
                "--format-version",
                "1",
                "--no-deps",
                "--offline",
            ])
            .current_dir(root())
            .output()
            .unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "cargo metadata: {complaint}");
        let metadata: Metadata = serde_json::from_slice(&output.stdout).unwrap();
        let base = root().canonicalize().unwrap();
        let mut packages: Vec<Package> = metadata
            .packages
            .into_iter()
            .map(|raw| Package::below(&base, raw))
            .collect();
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
        Self { packages, manifest }
    }

    fn has(&self, name: &str) -> bool {
        self.packages.iter().any(|package| package.name == name)
    }
}

impl Package {
    fn below(base: &Path, raw: RawPackage) -> Self {
        let manifest = raw.manifest_path.canonicalize().unwrap();
        let folder = manifest.parent().unwrap().strip_prefix(base).unwrap();
        let parts: Vec<_> = folder.iter().map(|part| part.to_string_lossy()).collect();
        Self {
            name: raw.name,
            folder: parts.join("/"),
            dependencies: raw.dependencies,
        }
    }

    /// What it imports for `kind`, sorted, either of ours or of others. For
    /// tests without what it imports anyway.
    pub(crate) fn imports(&self, workspace: &Workspace, kind: Kind, ours: bool) -> Vec<String> {
        let anyway = |name: &str| {
            let normal = |d: &&Dependency| d.kind() == Kind::Normal && d.name == name;
            kind == Kind::Test && self.dependencies.iter().any(|d| normal(&d))
        };
        let mut names: Vec<String> = self
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind() == kind && !anyway(&dependency.name))
            .filter(|dependency| workspace.has(&dependency.name) == ours)
            .map(|dependency| dependency.name.clone())
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// Whether it is part of what users run.
    pub(crate) fn is_product(&self) -> bool {
        !self.folder.starts_with("loadtest/") && self.name != "services-e2e"
    }

    pub(crate) fn manifest(&self) -> String {
        fs::read_to_string(root().join(&self.folder).join("Cargo.toml")).unwrap()
    }
}

impl Dependency {
    fn kind(&self) -> Kind {
        match self.kind.as_deref() {
            Some("dev") => Kind::Test,
            Some("build") => Kind::Build,
            _ => Kind::Normal,
        }
    }
}
