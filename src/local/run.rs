//! Commands of other programs, run to their end.

use std::{
    ffi::OsStr,
    io,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    process::Command,
    time::timeout,
};

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
        self.follow(command, |_| ()).await
    }

    /// Does so, and tells each line of the standard output as it comes.
    pub(crate) async fn follow(&self, command: &mut Command, tell: impl FnMut(&str)) -> Result<String> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let (status, stdout, stderr) = match timeout(self.patience, to_its_end(command, tell)).await {
            Ok(Ok(it)) => it,
            Ok(Err(err)) => return Err(self.failed(command, err.to_string(), String::new())),
            Err(_) => {
                return Err(self.failed(command, format!("no end after {} s", self.patience.as_secs()), String::new()));
            }
        };
        if status.success() {
            return Ok(stdout);
        }
        let text = format!("{stdout}\n{stderr}");
        Err(self.failed(command, status.to_string(), files::last_lines(&text, SHOWN)))
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

/// Runs a command; returns how it ended, and what it wrote to either output.
async fn to_its_end(command: &mut Command, mut tell: impl FnMut(&str)) -> io::Result<(ExitStatus, String, String)> {
    let mut child = command.spawn()?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let lines = async {
        let (mut text, mut line) = (String::new(), Vec::new());
        let Some(mut from) = stdout.map(BufReader::new) else { return Ok(text) };
        while from.read_until(b'\n', &mut line).await? > 0 {
            let it = String::from_utf8_lossy(&line);
            tell(it.trim());
            text.push_str(&it);
            line.clear();
        }
        io::Result::Ok(text)
    };
    let errors = async {
        let mut bytes = Vec::new();
        if let Some(mut from) = stderr {
            from.read_to_end(&mut bytes).await?;
        }
        io::Result::Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let (lines, errors) = tokio::try_join!(lines, errors)?;
    Ok((child.wait().await?, lines, errors))
}

/// What a program says of itself on either output; none when it cannot be run.
pub(crate) async fn ask(program: &Path, args: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(Duration::from_secs(20), command.output()).await.ok()?.ok()?;
    let text = format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    output.status.success().then(|| text.trim().to_owned())
}
