//! `kvatlas config`: check or print the configuration.

use anyhow::Result;
use services_runtime::config::to_yaml;

use crate::cli::ConfigAction;
use crate::config;

/// Checks or prints. A wrong configuration is an error that lists every mistake.
#[expect(
    clippy::print_stdout,
    reason = "the configuration is this command's output"
)]
pub(crate) fn run(action: &ConfigAction) -> Result<()> {
    match action {
        ConfigAction::Check { source, role } => {
            config::load(source, Vec::new(), *role)?;
            println!("configuration is right");
        }
        ConfigAction::Print(args) => {
            print!("{}", to_yaml(&config::load(args, Vec::new(), None)?)?);
        }
    }
    Ok(())
}
