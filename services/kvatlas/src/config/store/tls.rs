//! `store.tls`: mutual TLS on the store's port.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use services_runtime::config::Mistakes;

/// The largest file of certificates that is read, in bytes.
const FILE_LIMIT: u64 = 1 << 20;

/// Files in PEM form. All of them, or none: without them the port is plain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TlsSection {
    /// This process's certificate, and those between it and the authority.
    pub(crate) certificate: Option<PathBuf>,
    /// Its private key.
    pub(crate) key: Option<PathBuf>,
    /// The authority that all certificates come from.
    pub(crate) ca: Option<PathBuf>,
}

/// The files' contents.
#[derive(Clone)]
pub(crate) struct TlsFiles {
    pub(crate) certificate: String,
    pub(crate) key: String,
    pub(crate) ca: String,
}

/// What is wrong with one file.
pub(crate) struct TlsMistake {
    /// The key below `tls`.
    pub(crate) key: &'static str,
    /// What was seen.
    pub(crate) saw: String,
    /// What would be right.
    pub(crate) want: &'static str,
}

const ALL: &str = "certificate, key and ca, or none of them";

impl TlsSection {
    /// Reads the files; `None` if TLS is off.
    pub(crate) fn read(&self) -> Result<Option<TlsFiles>, Vec<TlsMistake>> {
        if *self == Self::default() {
            return Ok(None);
        }
        let mut wrong = Vec::new();
        let mut take = |key, path: &Option<PathBuf>, label: &str, want| {
            match path.as_deref().map(|path| read(path, label)) {
                Some(Ok(text)) => return text,
                Some(Err(saw)) => wrong.push(TlsMistake { key, saw, want }),
                None => wrong.push(TlsMistake {
                    key,
                    saw: "nothing".to_owned(),
                    want: ALL,
                }),
            }
            String::new()
        };
        let files = TlsFiles {
            certificate: take(
                "certificate",
                &self.certificate,
                "CERTIFICATE",
                "a readable file with a certificate in PEM form",
            ),
            key: take(
                "key",
                &self.key,
                "PRIVATE KEY",
                "a readable file with a private key in PEM form",
            ),
            ca: take(
                "ca",
                &self.ca,
                "CERTIFICATE",
                "a readable file with the authority's certificate in PEM form",
            ),
        };
        if wrong.is_empty() {
            Ok(Some(files))
        } else {
            Err(wrong)
        }
    }

    pub(super) fn check(&self, path: &str, mistakes: &mut Mistakes) {
        for mistake in self.read().err().unwrap_or_default() {
            mistakes.push(format!("{path}.{}", mistake.key), mistake.saw, mistake.want);
        }
    }
}

/// A file that holds at least one block of the label.
fn read(path: &Path, label: &str) -> Result<String, String> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(FILE_LIMIT + 1).read_to_string(&mut text))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    let end = format!("{label}-----");
    let begins = |line: &str| line.starts_with("-----BEGIN ") && line.ends_with(&end);
    if text.len() as u64 > FILE_LIMIT {
        Err(format!("{}: more than {FILE_LIMIT} bytes", path.display()))
    } else if !text.lines().any(|line| begins(line.trim_end())) {
        Err(format!("{}: no {label} block in it", path.display()))
    } else {
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wrong_file_is_named_with_its_reason() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.pem");
        std::fs::write(&empty, "nothing").unwrap();
        let section = TlsSection {
            certificate: Some(empty),
            key: Some(folder.path().join("absent.pem")),
            ca: None,
        };
        let mut mistakes = Mistakes::new();
        section.check("store.tls", &mut mistakes);
        let said = mistakes.into_result().unwrap_err().to_string();
        for part in [
            "store.tls.certificate",
            "empty.pem: no CERTIFICATE block",
            "store.tls.key",
            "absent.pem: No such file",
            "store.tls.ca: saw nothing",
        ] {
            assert!(said.contains(part), "no {part:?} in {said}");
        }
    }

    #[test]
    fn none_of_them_is_no_tls() {
        assert!(
            TlsSection::default()
                .read()
                .is_ok_and(|files| files.is_none())
        );
    }
}
