//! Artifacts that keep their names: each lies in a folder that is named by the SHA-256 of its content.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{
    Artifact, Error,
    archive::{self, hex},
};

/// How an artifact is remembered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Stored {
    /// The SHA-256 of its content, base64.
    sha256: String,
    /// Its size, in bytes.
    size: u64,
}

impl Stored {
    /// The SHA-256 of its content, in hexadecimal: the name of its folder.
    pub(super) fn digest(&self) -> String {
        BASE64_STANDARD.decode(&self.sha256).map(|it| hex(&it)).unwrap_or_default()
    }

    /// Finds it where it was stored.
    pub(super) fn find(&self, folder: &Path, name: &str) -> Option<Artifact> {
        let path = folder.join(self.digest()).join(name);
        let (sha256, size) = (self.sha256.clone(), self.size);
        archive::is_there(&path, size).then_some(Artifact { path, sha256, size, fresh: false })
    }
}

/// Stores something under its name and the hash of its content.
pub(super) fn store(folder: &Path, name: &str, bytes: &[u8]) -> Result<(Artifact, Stored), Error> {
    let (digest, size) = (Sha256::digest(bytes), bytes.len() as u64);
    let stored = Stored { sha256: BASE64_STANDARD.encode(digest), size };
    if let Some(it) = stored.find(folder, name) {
        return Ok((it, stored));
    }
    let path = folder.join(hex(&digest)).join(name);
    let within = path.parent().unwrap_or(folder);
    fs::create_dir_all(within).map_err(Error::disk("create", within))?;
    archive::write(&path, bytes).map_err(Error::disk("write", &path))?;
    Ok((Artifact { path, sha256: stored.sha256.clone(), size, fresh: true }, stored))
}

/// Takes a file of the project as it is.
pub(super) fn take(root: &Path, folder: &Path, path: &Path) -> Result<Artifact, Error> {
    let bytes = fs::read(root.join(path)).map_err(Error::disk("read", path))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    store(folder, &name, &bytes).map(|it| it.0)
}

/// Removes what is not named, but for the newest few. What cannot be removed stays.
pub(super) fn prune(folder: &Path, named: &BTreeSet<String>, spared: usize) {
    let mut loose: Vec<(SystemTime, PathBuf)> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|it| it.path().is_dir() && !named.contains(&*it.file_name().to_string_lossy()))
        .filter_map(|it| Some((it.metadata().ok()?.modified().ok()?, it.path())))
        .collect();
    loose.sort();
    for (_, path) in &loose[..loose.len().saturating_sub(spared)] {
        let _ = fs::remove_dir_all(path);
    }
}
