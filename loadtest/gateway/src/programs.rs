//! The programs under test, found once.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::EnvoyBinary;

/// Where the programs are.
#[derive(Debug, Clone)]
pub struct Programs {
    pub(crate) kvatlas: PathBuf,
    pub(crate) envoy: EnvoyBinary,
}

impl Programs {
    /// Those given; or `kvatlas` beside this program, and Envoy where
    /// [`EnvoyBinary::find`] looks.
    ///
    /// # Errors
    /// If one is missing.
    pub fn find(kvatlas: Option<&Path>, envoy: Option<&Path>) -> Result<Self> {
        let kvatlas = match kvatlas {
            Some(path) => path.to_owned(),
            None => std::env::current_exe()?.with_file_name("kvatlas"),
        };
        let found = kvatlas.canonicalize().with_context(|| {
            let path = kvatlas.display();
            format!("no kvatlas at {path}: build it beside this program, or give --kvatlas")
        })?;
        Ok(Self {
            kvatlas: found,
            envoy: EnvoyBinary::find(envoy)?,
        })
    }

    /// The Envoy program.
    #[must_use]
    pub fn envoy(&self) -> &EnvoyBinary {
        &self.envoy
    }
}

/// What every `kvatlas` process is told of its log.
pub(crate) fn log_variables() -> Vec<(String, String)> {
    [
        ("KVATLAS__TELEMETRY__LOG_FORMAT", "json"),
        (
            "KVATLAS__TELEMETRY__LOG_LEVEL",
            "info,router_ext_proc=debug",
        ),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}
