//! `ecomctl init`: makes a project, of the very files that this program was built beside.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use miette::Diagnostic;
use serde_json::json;

use crate::command::{Error, Exit, Global, Result, error};

/// The files of a project, by their paths: stacks, templates, Lambdas, the notebook package and the workflow.
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/project.rs"));

/// The manifest of this repository, whose workspace is that of a project too.
const MANIFEST: &str = include_str!("../../Cargo.toml");

/// So many files are named at most.
const NAMED: usize = 8;

/// Begin a project: all the files of the pipeline, to be changed there
///
/// Writes stacks, templates, Lambdas, the notebook package and the workflow that deploys them into a folder. Never overwrites: when there is a file of another content
/// already, nothing is written. Run again after an interruption, it writes what is missing.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ecomctl init shop                     then: cd shop, ecomctl up local
  ecomctl init                          in the working directory
")]
pub struct Args {
    /// The folder, which is made where it does not exist [default: the working directory]
    #[arg(value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    dir: Option<PathBuf>,
}

/// There are other files already.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{} would be overwritten; nothing was written", self.list())]
#[diagnostic(code(init::exists), help("begin in an empty folder: ecomctl init DIR"))]
struct Exists {
    files: Vec<String>,
}

impl Exists {
    fn list(&self) -> String {
        let more = self.files.len().saturating_sub(NAMED);
        let mut names: Vec<String> = self.files.iter().take(NAMED).cloned().collect();
        names.extend((more > 0).then(|| format!("{more} more")));
        names.join(", ")
    }
}

/// Writes the files.
///
/// # Errors
/// Says what is there already, or cannot be written.
#[expect(clippy::unused_async, reason = "all verbs look alike")]
pub async fn run(args: Args, global: &Global) -> Result<Exit> {
    let dir = args.dir.or_else(|| global.project.clone()).unwrap_or_else(|| PathBuf::from("."));
    let files = files();
    let mut missing = Vec::new();
    let mut others = Vec::new();
    for (path, content) in &files {
        let path = dir.join(path);
        match fs::read(&path) {
            Ok(it) if it == *content => (),
            Ok(_) => others.push(path.display().to_string()),
            Err(err) if err.kind() == io::ErrorKind::NotFound => missing.push((path, content)),
            Err(err) => return Err(error::file("read", &path)(err)),
        }
    }
    if !others.is_empty() {
        return Err(Error::new(Exit::Refused, Exists { files: others }));
    }
    for (path, content) in &missing {
        write(path, content).map_err(error::file("write", path))?;
    }
    let shown = dir.display().to_string();
    let (written, kept) = (missing.len(), files.len() - missing.len());
    let there = if kept > 0 { format!(", {kept} were there already") } else { String::new() };
    let enter = if shown == "." { String::new() } else { format!("cd {} && ", super::choice::quoted(&dir)) };
    let text = format!(
        "{written} files written to {shown}{there}.\n\n\
         The whole pipeline on this machine:  {enter}ecomctl up local\n\
         What this machine lacks for that:    {enter}ecomctl doctor\n\
         Before it goes to AWS: say in stacks/staging.yaml which account, region and state are yours, and set up what \
         .github/workflows/deploy.yml names."
    );
    global.terminal().tell(&json!({ "directory": shown, "written": written, "kept": kept }), &text);
    Ok(Exit::Done)
}

/// Writes a file that is not there: all of it, or nothing.
fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    // As `umask` would have it, which files that are made as temporary ones are not.
    fs::set_permissions(file.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    file.persist_noclobber(path).map(drop).map_err(|err| err.error)
}

/// Lists what a project begins with.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    let mut files: Vec<_> = FILES.iter().map(|(path, content)| (*path, content.to_vec())).collect();
    files.push(("Cargo.toml", manifest().into_bytes()));
    files
}

/// Returns the workspace's part of this repository's manifest: a project holds no package but its Lambdas.
fn manifest() -> String {
    let workspace = MANIFEST.find("[workspace]").map_or("", |at| &MANIFEST[at..]);
    workspace.replacen("[lints]\nworkspace = true\n\n", "", 1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_project_is_a_workspace_of_lambdas() {
        let manifest: toml::Table = toml::from_str(&manifest()).expect("TOML");
        let keys: BTreeSet<_> = manifest.keys().map(String::as_str).collect();
        assert_eq!(keys, ["profile", "workspace"].into(), "no package, nothing that needs one");
        assert!(manifest["profile"]["lambda"].is_table());
    }

    #[test]
    fn what_a_project_begins_with_is_what_is_kept() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let args = ["ls-files", "--cached", "--others", "--exclude-standard"];
        let kept = std::process::Command::new("git").args(args).current_dir(root).output().expect("git runs");
        let kept = String::from_utf8(kept.stdout).expect("text");
        let kept: BTreeSet<&str> = kept.lines().collect();
        for (path, content) in FILES {
            assert!(kept.contains(path), "{path} is no file of this repository");
            assert_eq!(*content, fs::read(root.join(path)).expect("readable"), "{path}");
        }
        for part in ["stacks/base.yaml", "lambdas/ingest/src/main.rs", "notebooks/pyproject.toml", ".gitignore"] {
            assert!(FILES.iter().any(|it| it.0 == part), "{part}");
        }
    }
}
