//! `ecomctl completions`: what a shell needs to complete verbs, options and the names of stacks.

use clap_complete::{
    CompletionCandidate,
    env::{EnvCompleter, Shells},
};

use crate::{
    command::{Exit, Global, Result, error},
    stack,
};

/// Print what a shell needs to complete verbs, options and stacks
///
/// The script asks `ecomctl` itself for candidates, so that it knows the stacks of the project at hand.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  source <(ecomctl completions bash)                              in ~/.bashrc
  source <(ecomctl completions zsh)                               in ~/.zshrc
  ecomctl completions fish > ~/.config/fish/completions/ecomctl.fish
")]
pub struct Args {
    /// Which shell
    #[arg(value_parser = ["bash", "zsh", "fish", "elvish", "powershell"])]
    shell: String,
}

/// Prints the script.
///
/// # Errors
/// None but those of a shell that is not known.
#[expect(clippy::unused_async, reason = "all verbs look alike")]
pub async fn run(args: Args, global: &Global) -> Result<Exit> {
    let shells = Shells::builtins();
    let shell: &dyn EnvCompleter =
        shells.completer(&args.shell).ok_or_else(|| error::usage(&format!("no completions for {}", args.shell)))?;
    let mut script = Vec::new();
    shell.write_registration("COMPLETE", "ecomctl", "ecomctl", "ecomctl", &mut script).map_err(error::internal)?;
    global.terminal().print(&String::from_utf8_lossy(&script));
    Ok(Exit::Done)
}

/// Lists the stacks of the project around the working directory, for completion. Any trouble means none.
pub fn stacks(current: &std::ffi::OsStr) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    let names =
        std::path::absolute(".").ok().and_then(|it| stack::names(&stack::root(&it).ok()?).ok()).unwrap_or_default();
    names.into_iter().filter(|it| it.starts_with(&*current)).map(CompletionCandidate::new).collect()
}
