//! Small disks: file systems in memory, mounted for a node's data.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// A mounted file system; unmounted when dropped.
#[derive(Debug)]
pub(crate) struct Tmpfs {
    path: PathBuf,
}

impl Tmpfs {
    /// Needs the right to mount.
    pub(crate) fn mount(path: &Path, mebibytes: u32) -> Result<Self> {
        std::fs::create_dir_all(path)?;
        let size = format!("size={mebibytes}m");
        let mut command = Command::new("mount");
        command
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(path);
        let output = command.output().context("run mount")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("mount {}: {}", path.display(), said.trim());
        }
        Ok(Self {
            path: path.to_owned(),
        })
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: a process that is being killed may still hold files.
        let mut command = Command::new("umount");
        let _ = command
            .arg("-l")
            .arg(&self.path)
            .stderr(Stdio::null())
            .status();
    }
}
