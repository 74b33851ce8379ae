use super::HubError;

/// A model on the hub, at a revision. Its parts are checked, so that neither
/// can lead out of the cache directory or to another path of the endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubModel {
    name: String,
    revision: String,
}

impl HubModel {
    /// The model's main revision; `name` is `ORG/NAME` or `NAME`.
    pub fn named(name: &str) -> Result<Self, HubError> {
        Self::at_revision(name, "main")
    }

    /// The model at a branch, tag or commit.
    pub fn at_revision(name: &str, revision: &str) -> Result<Self, HubError> {
        let parts: Vec<&str> = name.split('/').collect();
        if parts.len() > 2 || !parts.iter().all(|part| is_plain(part)) || name.contains("--") {
            return Err(HubError::BadName {
                name: shorten(name),
            });
        }
        if !revision.split('/').all(is_plain) {
            return Err(HubError::BadRevision {
                revision: shorten(revision),
            });
        }
        Ok(Self {
            name: name.to_owned(),
            revision: revision.to_owned(),
        })
    }

    /// `ORG/NAME` or `NAME`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The branch, tag or commit.
    #[must_use]
    pub fn revision(&self) -> &str {
        &self.revision
    }
}

/// Letters, digits, `-`, `_` and `.`, no two dots in a row and none first: the
/// hub's rule for names.
fn is_plain(part: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=96).contains(&part.len())
        && part.chars().all(allowed)
        && !part.starts_with('.')
        && !part.contains("..")
}

fn shorten(text: &str) -> String {
    text.chars().take(128).collect()
}

#[cfg(test)]
mod tests {
    use super::HubModel;

    #[test]
    fn names_cannot_lead_elsewhere() {
        for name in ["gpt2", "Qwen/Qwen3-32B", "a_b/c.d-1"] {
            assert!(HubModel::named(name).is_ok(), "{name}");
        }
        for name in [
            "",
            "/",
            "a/",
            "../b",
            "a/..",
            "a/b/c",
            "/etc/passwd",
            ".hidden",
            "a b",
            "a\\b",
            "é",
            "a--b",
            "a?b",
        ] {
            assert!(HubModel::named(name).is_err(), "{name}");
        }
        assert!(HubModel::at_revision("a/b", "refs/pr/1").is_ok());
        assert!(HubModel::at_revision("a/b", "../../main").is_err());
    }
}
