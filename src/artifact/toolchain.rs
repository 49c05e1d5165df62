//! Which compiler would be used, known without starting it: `rustc -vV` is asked once and remembered for as long as
//! the files that decide which rustc runs, and what is in it, stay as they are.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::UNIX_EPOCH,
};

use sha2::{Digest as _, Sha256};
use tokio::process::Command;

use super::{Error, archive::hex, index::Index};

/// How to get Rust, for those who lack it.
pub(super) const GET_RUST: &str = "install Rust with rustup: https://rustup.rs";

/// Returns what `rustc -vV` says in this project.
pub(super) async fn identify(root: &Path, index: &mut Index) -> Result<String, Error> {
    let fingerprint = fingerprint(root);
    if let Some(text) = index.toolchain(&fingerprint) {
        return Ok(text.to_owned());
    }
    let text = ask(root, &["-vV"]).await?;
    index.learn_toolchain(fingerprint, text.clone());
    Ok(text)
}

/// Returns what rustc answers to a question about itself.
pub(super) async fn ask(root: &Path, question: &[&str]) -> Result<String, Error> {
    let program = env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let start = |cause| Error::Start { program: program.clone(), cause, help: GET_RUST };
    let output = Command::new(&program)
        .args(question)
        .current_dir(root)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(start)?;
    if !output.status.success() {
        return Err(start(std::io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Hashes what decides which rustc runs: variables, the program found in `PATH`, and, as that may be rustup's proxy,
/// rustup's settings, its record of updates, and the project's choice of a toolchain.
fn fingerprint(root: &Path) -> String {
    let mut hash = Sha256::new();
    for name in ["RUSTC", "RUSTUP_TOOLCHAIN", "RUSTUP_HOME"] {
        hash.update(format!("{name}={:?}\n", env::var_os(name)));
    }
    let paths = env::var_os("PATH").unwrap_or_default();
    if let Some(path) = env::split_paths(&paths).map(|it| it.join("rustc")).find(|it| it.is_file()) {
        hash.update(stamp(&path));
    }
    for folder in root.ancestors() {
        for name in ["rust-toolchain.toml", "rust-toolchain"] {
            hash.update(fs::read(folder.join(name)).unwrap_or_default());
        }
    }
    let rustup = env::var_os("RUSTUP_HOME").map(PathBuf::from).or_else(|| env::home_dir().map(|it| it.join(".rustup")));
    if let Some(rustup) = rustup {
        hash.update(fs::read(rustup.join("settings.toml")).unwrap_or_default());
        let mut updates: Vec<_> =
            fs::read_dir(rustup.join("update-hashes")).into_iter().flatten().flatten().map(|it| it.path()).collect();
        updates.sort();
        for path in updates {
            hash.update(stamp(&path));
        }
    }
    hex(&hash.finalize())
}

fn stamp(path: &Path) -> String {
    let metadata = fs::metadata(path).ok();
    let modified = metadata.as_ref().and_then(|it| it.modified().ok()?.duration_since(UNIX_EPOCH).ok());
    format!("{} {:?} {:?}\n", path.display(), metadata.map(|it| it.len()), modified)
}
