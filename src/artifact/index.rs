//! What was built from which inputs: `index.json` beside the zips.
//!
//! A cache: whatever in it cannot be read or is no longer true only costs a call of cargo.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};

use super::{Architecture, Artifact, Error, archive, lambda::inputs};

/// How many builds are remembered of each request: one goes back and forth between branches.
const REMEMBERED: usize = 4;
/// How many zips that no entry names are kept: another run may be about to send one.
const SPARED: usize = 8;
/// How many toolchains are remembered.
const TOOLCHAINS: usize = 8;

/// What was built from which inputs.
#[derive(Debug)]
pub(super) struct Index {
    folder: PathBuf,
    data: Data,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Data {
    /// What rustc said of itself, by the fingerprint of the files that decide.
    toolchains: BTreeMap<String, String>,
    /// Newest first.
    entries: Vec<Entry>,
}

/// One build.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    /// The workspace member.
    pub(super) package: String,
    /// What it runs on.
    pub(super) architecture: Architecture,
    /// The hash of all inputs.
    pub(super) key: String,
    /// The files that were read, relative to the project.
    pub(super) inputs: Vec<PathBuf>,
    /// The zip's SHA-256, base64.
    pub(super) sha256: String,
    /// The zip's size, in bytes.
    pub(super) size: u64,
    /// The binary's size, in bytes.
    pub(super) binary: u64,
    /// Whether the machine's own linker would not do.
    pub(super) zig: bool,
}

impl Entry {
    fn path(&self, folder: &Path) -> Option<PathBuf> {
        BASE64_STANDARD.decode(&self.sha256).ok().map(|it| archive::path(folder, &it))
    }
}

impl Index {
    /// Loads what is remembered; nothing where it cannot be read.
    pub(super) fn load(folder: &Path) -> Self {
        let data = fs::read(folder.join("index.json")).ok().and_then(|it| serde_json::from_slice(&it).ok());
        Self { folder: folder.to_owned(), data: data.unwrap_or_default() }
    }

    /// Finds the zip that these very inputs gave, and the size of the binary within.
    pub(super) fn find(
        &self,
        root: &Path,
        toolchain: &str,
        package: &str,
        architecture: Architecture,
    ) -> Option<(Artifact, u64)> {
        self.entries(package, architecture).find_map(|it| {
            let path = it.path(&self.folder).filter(|path| archive::is_there(path, it.size))?;
            let key = inputs::key(root, toolchain, package, architecture, &it.inputs)?;
            let artifact = Artifact { path, sha256: it.sha256.clone(), size: it.size, fresh: false };
            (key == it.key).then_some((artifact, it.binary))
        })
    }

    /// Says whether the machine's own linker would not do when this was built last.
    pub(super) fn needs_zig(&self, package: &str, architecture: Architecture) -> bool {
        self.entries(package, architecture).next().is_some_and(|it| it.zig)
    }

    /// Returns what rustc said of itself.
    pub(super) fn toolchain(&self, fingerprint: &str) -> Option<&str> {
        self.data.toolchains.get(fingerprint).map(String::as_str)
    }

    /// Remembers what rustc said of itself.
    pub(super) fn learn_toolchain(&mut self, fingerprint: String, text: String) {
        if self.data.toolchains.len() >= TOOLCHAINS {
            self.data.toolchains.clear();
        }
        self.data.toolchains.insert(fingerprint, text);
    }

    /// Remembers a build, as the newest of its request.
    pub(super) fn learn(&mut self, entry: Entry) {
        let (package, architecture) = (entry.package.clone(), entry.architecture);
        self.data.entries.retain(|it| (&it.package, it.architecture, &it.key) != (&package, architecture, &entry.key));
        self.data.entries.insert(0, entry);
        let mut seen = 0;
        self.data.entries.retain(|it| {
            let same = it.package == package && it.architecture == architecture;
            seen += usize::from(same);
            !same || seen <= REMEMBERED
        });
    }

    /// Writes it, whole or not at all. Of two writers the later one wins, and the other's builds are looked up again.
    pub(super) fn save(&self) -> Result<(), Error> {
        let path = self.folder.join("index.json");
        let bytes = serde_json::to_vec_pretty(&self.data).unwrap_or_default();
        fs::create_dir_all(&self.folder).map_err(Error::disk("create", &self.folder))?;
        archive::write(&path, &bytes).map_err(Error::disk("write", &path))
    }

    /// Removes the zips that no entry names, but for the newest few. What cannot be removed stays.
    pub(super) fn prune(&self) {
        let named: BTreeSet<PathBuf> = self.data.entries.iter().filter_map(|it| it.path(&self.folder)).collect();
        let mut loose: Vec<(SystemTime, PathBuf)> = fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|it| it.path())
            .filter(|it| it.extension().is_some_and(|it| it == "zip") && !named.contains(it))
            .filter_map(|it| Some((fs::metadata(&it).ok()?.modified().ok()?, it)))
            .collect();
        loose.sort();
        let surplus = loose.len().saturating_sub(SPARED);
        for (_, path) in &loose[..surplus] {
            let _ = fs::remove_file(path);
        }
    }

    fn entries(&self, package: &str, architecture: Architecture) -> impl Iterator<Item = &Entry> {
        self.data.entries.iter().filter(move |it| it.package == package && it.architecture == architecture)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const X86: Architecture = Architecture::X86;

    fn entry(folder: &Path, key: &str) -> Entry {
        let built = archive::store(folder, key.as_bytes()).expect("stored");
        let (package, key) = ("ingest".to_owned(), key.to_owned());
        Entry {
            package,
            architecture: X86,
            key,
            inputs: vec!["main.rs".into()],
            sha256: built.sha256,
            size: built.size,
            binary: 1,
            zig: false,
        }
    }

    #[test]
    fn found_only_while_every_input_is_the_same() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("artifacts");
        let main = root.path().join("main.rs");
        fs::write(&main, "fn main() {}").expect("written");
        let mut index = Index::load(&folder);
        let key = inputs::key(root.path(), "rustc 1", "ingest", X86, &["main.rs".into()]).expect("readable");
        index.learn(entry(&folder, &key));
        index.save().expect("saved");
        let index = Index::load(&folder);
        let find = |toolchain, package| index.find(root.path(), toolchain, package, X86).is_some();
        assert!(find("rustc 1", "ingest"));
        assert!(!find("rustc 2", "ingest"), "another compiler");
        assert!(!find("rustc 1", "migrate"), "another package");
        fs::write(root.path().join("Cargo.lock"), "version = 4").expect("written");
        assert!(!find("rustc 1", "ingest"), "another dependency");
        fs::remove_file(root.path().join("Cargo.lock")).expect("removed");
        fs::write(&main, "fn main() { }").expect("written");
        assert!(!find("rustc 1", "ingest"), "another source");
        fs::remove_file(&main).expect("removed");
        assert!(!find("rustc 1", "ingest"), "a source is gone");
        fs::write(&main, "fn main() {}").expect("written");
        assert!(find("rustc 1", "ingest"), "as it was");
        let (zip, _) = index.find(root.path(), "rustc 1", "ingest", X86).expect("as above");
        fs::remove_file(zip.path).expect("removed");
        assert!(!find("rustc 1", "ingest"), "the zip is gone");
    }

    #[test]
    fn what_cannot_be_read_is_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        for text in ["", "{", "[]", r#"{"entries": 3}"#] {
            fs::write(folder.path().join("index.json"), text).expect("written");
            assert!(Index::load(folder.path()).data.entries.is_empty(), "{text}");
        }
    }

    #[test]
    fn keeps_what_is_remembered_and_some_more() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut index = Index::load(folder.path());
        for key in 0..20 {
            index.learn(entry(folder.path(), &key.to_string()));
        }
        assert_eq!(index.data.entries.len(), REMEMBERED);
        index.prune();
        let zips = fs::read_dir(folder.path()).expect("readable").count();
        assert_eq!(zips, REMEMBERED + SPARED);
        assert!(index.data.entries.iter().all(|it| it.path(folder.path()).is_some_and(|it| it.is_file())));
    }
}
