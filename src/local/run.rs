//! Commands of other programs, run to their end.

use std::{ffi::OsStr, path::Path, process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};

use super::{
    error::{Error, Result},
    files,
};

/// Lines of a failed command's output that are shown.
const SHOWN: usize = 15;

/// A command with a purpose, and what to do when it fails.
pub(crate) struct Run<'a> {
    /// Completes "cannot …".
    pub(crate) what: &'a str,
    /// What to do next when it fails.
    pub(crate) help: &'a str,
    /// The longest that it may take.
    pub(crate) patience: Duration,
}

impl Run<'_> {
    /// Runs a command to its end and returns what it wrote to its standard output. It ends when this program does.
    pub(crate) async fn run(&self, command: &mut Command) -> Result<String> {
        command.stdin(Stdio::null()).kill_on_drop(true);
        let output = match timeout(self.patience, command.output()).await {
            Ok(Ok(it)) => it,
            Ok(Err(err)) => return Err(self.failed(command, err.to_string(), String::new())),
            Err(_) => {
                return Err(self.failed(command, format!("no end after {} s", self.patience.as_secs()), String::new()));
            }
        };
        let stdout = String::from_utf8_lossy(&output.stdout);
        if output.status.success() {
            return Ok(stdout.into_owned());
        }
        let text = format!("{stdout}\n{}", String::from_utf8_lossy(&output.stderr));
        Err(self.failed(command, output.status.to_string(), files::last_lines(&text, SHOWN)))
    }

    fn failed(&self, command: &Command, status: String, output: String) -> Error {
        let command = command.as_std();
        let words: Vec<_> =
            [command.get_program()].into_iter().chain(command.get_args()).map(OsStr::to_string_lossy).collect();
        // What comes before is our own `exec-part`, which nobody asked for.
        let begin = words.iter().position(|it| it == "--").filter(|_| words.iter().any(|it| it == "exec-part"));
        let line = words[begin.map_or(0, |it| it + 1)..].join(" ");
        Error::Command { what: self.what.to_owned(), command: line, status, output, help: self.help.to_owned() }
    }
}

/// What a program says of itself on either output; none when it cannot be run.
pub(crate) async fn ask(program: &Path, args: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(Duration::from_secs(20), command.output()).await.ok()?.ok()?;
    let text = format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    output.status.success().then(|| text.trim().to_owned())
}
