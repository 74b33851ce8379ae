//! Processes that end with the test.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Runs an ignored test of this program in a directory, in a process of its own.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// `wrapper` is what the program is started by, if not directly.
    pub(crate) fn start(test: &str, directory: &Path, wrapper: &[&str]) -> Self {
        let program = std::env::current_exe().expect("a path");
        let mut command = match wrapper {
            [] => Command::new(program),
            [first, rest @ ..] => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
        };
        let child = command
            .args(["--exact", test, "--ignored", "--nocapture"])
            .current_dir(directory)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("started");
        Self { child }
    }

    /// What it writes, line by line.
    pub(crate) fn lines(&mut self) -> impl Iterator<Item = String> + use<> {
        let output = self.child.stdout.take().expect("taken once");
        BufReader::new(output).lines().map_while(Result::ok)
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().expect("killed");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone already; either way nothing is left.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
