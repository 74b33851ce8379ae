//! Files of log lines in JSON, read while they grow.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::time::Instant;

use crate::LIMIT;

/// A file of JSON lines.
#[derive(Debug, Clone)]
pub struct Log(PathBuf);

impl Log {
    /// A log; it need not be there yet.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Every whole line that is JSON.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn lines(&self) -> Result<Vec<Value>> {
        let text = self.text()?;
        let whole = text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        Ok(whole
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect())
    }

    /// All of it as text.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn text(&self) -> Result<String> {
        let bytes = fs::read(&self.0).with_context(|| self.0.display().to_string())?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The first line for which this holds, as soon as it is there.
    ///
    /// # Errors
    /// If there is none within [`LIMIT`].
    pub async fn wait_for(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Result<Value> {
        let found = async || Ok(self.lines()?.into_iter().find(|line| holds(line)));
        let found = eventually(what, found).await;
        found.with_context(|| format!("in {}", self.0.display()))
    }
}

/// What this returns as soon as it is something.
///
/// # Errors
/// Its own; or if it still returns nothing after [`LIMIT`].
pub async fn eventually<T>(
    what: &str,
    mut check: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(found) = check().await? {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("{what}: not within {LIMIT:?}");
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}
