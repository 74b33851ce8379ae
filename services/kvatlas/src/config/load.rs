//! From file, environment and flags to one checked configuration.

use anyhow::{Result, anyhow};
use services_runtime::config::{ENV_PREFIX, Sources};

use super::{Config, Role};
use crate::cli::ConfigArgs;

/// Reads everything for a role, or says everything that is wrong. Without a role,
/// what holds for all of them is checked.
pub(crate) fn load(
    args: &ConfigArgs,
    flags: Vec<(String, String)>,
    role: Option<Role>,
) -> Result<Config> {
    let mut overrides = flags;
    for pair in &args.overrides {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| anyhow!("--set {pair}: write section.key=value"))?;
        overrides.push((key.to_owned(), value.to_owned()));
    }
    let sources =
        Sources::new(args.config.as_deref(), overrides).with_process_environment(ENV_PREFIX);
    Ok(sources.load_checked(|config: &Config, mistakes| config.check(role, mistakes))?)
}
