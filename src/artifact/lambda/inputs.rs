//! What a build depends on, as one hash: sources, manifests, the lock file, the compiler, and what configures them.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use crate::artifact::{
    Architecture,
    archive::{self, hex},
};

use super::PROFILE;

/// Files of a project that may be there or not, and matter to every build.
const COMMON: [&str; 4] = ["Cargo.toml", "Cargo.lock", ".cargo/config.toml", ".cargo/config"];
/// Variables that cargo, rustc, or a C compiler called by a build script heed.
const VARIABLES: [&str; 9] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_BOOTSTRAP",
    "CC",
    "CFLAGS",
    "AR",
];

/// Hashes everything that a build depends on; `None` when one of its files is no longer there.
pub(in crate::artifact) fn key(
    root: &Path,
    toolchain: &str,
    package: &str,
    architecture: Architecture,
    inputs: &[PathBuf],
) -> Option<String> {
    let mut hash = Sha256::new();
    let mut feed = |name: &str, content: &[u8]| archive::feed(&mut hash, name, content);
    feed("ecomctl", env!("CARGO_PKG_VERSION").as_bytes());
    feed(package, architecture.triple().as_bytes());
    feed(PROFILE, toolchain.as_bytes());
    let triple = architecture.triple().replace('-', "_");
    let specific = format!("CARGO_TARGET_{}_", triple.to_uppercase());
    let profile = format!("CARGO_PROFILE_{}_", PROFILE.to_uppercase());
    let heeded = |name: &str| {
        VARIABLES.contains(&name)
            || name.starts_with(&specific)
            || name.starts_with(&profile)
            || name.ends_with(&format!("_{triple}"))
    };
    let variables: BTreeSet<(String, String)> = env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
        .filter(|(name, _)| heeded(name))
        .collect();
    for (name, value) in variables {
        feed(&name, value.as_bytes());
    }
    if let Some(home) = cargo_home() {
        feed("config", &fs::read(home.join("config.toml")).unwrap_or_default());
    }
    for path in COMMON {
        feed(path, &fs::read(root.join(path)).unwrap_or_default());
    }
    for path in inputs {
        let content = fs::metadata(root.join(path)).ok()?;
        // A build script may name a folder: then what is in it counts, by name.
        let content = if content.is_dir() { listing(&root.join(path)) } else { fs::read(root.join(path)).ok()? };
        feed(&path.to_string_lossy(), &content);
    }
    Some(hex(&hash.finalize()))
}

/// Reads which files went into a program from the dependency file that cargo leaves beside it, and adds the manifests
/// of the packages that these belong to. Relative to the project where they lie in it, sorted.
pub(super) fn of(root: &Path, executable: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(executable.with_extension("d")).unwrap_or_default();
    let mut inputs = BTreeSet::new();
    for path in dependencies(&text) {
        let path = path.strip_prefix(root).map_or(path.clone(), Path::to_path_buf);
        for folder in path.ancestors().skip(1).filter(|_| path.is_relative()) {
            let manifest = folder.join("Cargo.toml");
            if root.join(&manifest).is_file() {
                inputs.insert(manifest);
                break;
            }
        }
        inputs.insert(path);
    }
    inputs.into_iter().collect()
}

/// The folder where cargo keeps its settings and the sources of dependencies.
pub(in crate::artifact) fn cargo_home() -> Option<PathBuf> {
    env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| env::home_dir().map(|it| it.join(".cargo")))
}

/// Takes apart a rule of make, `target: file file`, in which spaces of names are escaped.
fn dependencies(text: &str) -> Vec<PathBuf> {
    let Some((_, files)) = text.lines().next().and_then(|it| it.split_once(": ")) else { return Vec::new() };
    files.replace("\\ ", "\0").split_ascii_whitespace().map(|it| it.replace('\0', " ").into()).collect()
}

fn listing(folder: &Path) -> Vec<u8> {
    let mut names: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().map(|it| it.file_name()).collect();
    names.sort();
    names.iter().flat_map(|it| [it.as_encoded_bytes(), b"\n"].concat()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_of_make() {
        let text = "/t/lambda/ingest: /p/src/main.rs /p/with\\ space/lib.rs\n\n/p/src/main.rs:\n";
        assert_eq!(dependencies(text), [PathBuf::from("/p/src/main.rs"), "/p/with space/lib.rs".into()]);
        assert!(dependencies("").is_empty());
    }

    #[test]
    fn manifests_count() {
        let root = tempfile::tempdir().expect("a folder");
        let source = root.path().join("lambdas/ingest/src");
        fs::create_dir_all(&source).expect("created");
        for (path, text) in [("lambdas/ingest/Cargo.toml", ""), ("lambdas/ingest/src/main.rs", "")] {
            fs::write(root.path().join(path), text).expect("written");
        }
        let rule = format!("x: {} /elsewhere/lib.rs", source.join("main.rs").display());
        fs::write(root.path().join("ingest.d"), rule).expect("written");
        let found = of(root.path(), &root.path().join("ingest"));
        let expected = ["/elsewhere/lib.rs", "lambdas/ingest/Cargo.toml", "lambdas/ingest/src/main.rs"];
        assert_eq!(found, expected.map(PathBuf::from));
    }
}
