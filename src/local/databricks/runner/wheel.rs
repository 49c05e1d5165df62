//! The libraries of a task: wheels from the workspace, each installed once into a folder named by its content.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use tokio::process::Command;

use super::Inner;
use crate::local::{
    files,
    run::Run,
    setup::{Draft, is_made_from},
};

/// How many installed wheels are kept.
const KEPT: usize = 64;

/// Installs what is not installed yet. Returns the folders to import from, and the names of packages that must be there
/// already: nothing is downloaded.
pub(super) async fn install(inner: &Inner, packages: &[&str]) -> Result<(Vec<PathBuf>, Vec<String>), String> {
    let (mut folders, mut named) = (Vec::new(), Vec::new());
    for package in packages {
        if !package.contains('/') {
            named.push((*package).to_owned());
        } else if package.to_lowercase().ends_with(".whl") {
            folders.push(one(inner, package).await?);
        } else {
            return Err(format!("Library {package} cannot be installed: only wheels from the workspace are."));
        }
    }
    Ok((folders, named))
}

async fn one(inner: &Inner, path: &str) -> Result<PathBuf, String> {
    let missing = || format!("Library installation failed: {path} does not exist in the workspace.");
    let object = inner.workspace.find(path).filter(|it| !it.hash.is_empty()).ok_or_else(missing)?;
    let file = inner.workspace.file(path).ok_or_else(missing)?;
    let all = inner.place.data.join("wheels");
    let folder = all.join(&object.hash);
    let _one_at_a_time = inner.installing.lock().await;
    if is_made_from(&folder, &object.hash) {
        used(&folder);
        return Ok(folder);
    }
    let failed = |err: &dyn std::fmt::Display| format!("Library installation failed: {err}");
    files::create_dir(&all).map_err(|err| failed(&err))?;
    forget(&all);
    let draft = Draft::begin(folder.clone()).map_err(|err| failed(&err))?;
    let mut pip = Command::new(inner.place.python.join("bin/python"));
    pip.args(["-I", "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]);
    // Isolated from any configuration, and from every index.
    pip.args(["--isolated", "--no-deps", "--no-index", "--no-compile", "--target"]).arg(&draft.path).arg(&file);
    pip.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LANG", "C.UTF-8");
    let run = Run { what: "install a library of the task", help: "", patience: Duration::from_secs(120) };
    run.run(&mut pip).await.map_err(|err| failed(&err))?;
    draft.complete(&object.hash).map_err(|err| failed(&err))?;
    Ok(folder)
}

/// Notes that a wheel is used now.
fn used(folder: &Path) {
    // That it is older than it might be is all that can come of it.
    fs::File::open(folder).and_then(|it| it.set_modified(SystemTime::now())).ok();
}

/// Removes those that were used the longest ago, when there are too many. Runs that are under way use none of them: there
/// are fewer runs at a time.
fn forget(all: &Path) {
    let age = |it: fs::DirEntry| {
        let made = it.metadata().and_then(|it| it.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        (made, it.path())
    };
    let mut found: Vec<_> = fs::read_dir(all).into_iter().flatten().flatten().map(age).collect();
    found.sort();
    for (_, it) in found.iter().take(found.len().saturating_sub(KEPT)) {
        files::remove(it).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_however_long_ago_it_was_installed() {
        let dir = tempfile::tempdir().expect("directory");
        for at in 0..=KEPT {
            let folder = dir.path().join(format!("{at:03}"));
            fs::create_dir(&folder).expect("a folder");
            let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000 + at as u64);
            fs::File::open(&folder).and_then(|it| it.set_modified(then)).expect("a time");
        }
        used(&dir.path().join("000"));
        forget(dir.path());
        assert!(dir.path().join("000").exists(), "installed first, used last");
        assert!(!dir.path().join("001").exists());
    }
}
