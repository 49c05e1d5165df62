//! Python wheels: built by hatchling, packed anew so that the same sources give the same bytes on any machine, and known
//! by the hash of that.

use std::{
    collections::BTreeSet,
    fs,
    io::{Cursor, Read as _, Write as _},
    path::{Path, PathBuf},
    process::Stdio,
    time::SystemTime,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::process::Command;
use zip::{CompressionMethod, DateTime, System, ZipArchive, ZipWriter, result::ZipResult, write::SimpleFileOptions};

use super::{
    Artifact, Build, Error, Progress,
    archive::{self, hex},
    file, take_turn,
};

/// What builds wheels, and what that needs.
const REQUIREMENTS: &str = include_str!("wheel/requirements.txt");
/// How many builds are remembered of each project: one goes back and forth between branches.
const REMEMBERED: usize = 4;
/// How many wheels that nothing names are kept: another run may be about to send one.
const SPARED: usize = 8;
/// Folders that hold what others made of the sources.
const DERIVED: [&str; 4] = ["__pycache__", "build", "dist", "venv"];

/// Where wheels are built.
pub(super) struct Shop<'a> {
    /// The project of `ecomctl`.
    pub(super) root: &'a Path,
    /// Where the tool keeps what it installs.
    pub(super) home: &'a Path,
    /// Where wheels go.
    pub(super) folder: &'a Path,
    /// Whom to tell.
    pub(super) progress: &'a (dyn Fn(Progress) + Sync),
}

/// One build.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    project: PathBuf,
    /// The hash of all inputs.
    key: String,
    /// The wheel's name, such as `shop-1.0-py3-none-any.whl`.
    name: String,
    artifact: file::Stored,
}

impl Shop<'_> {
    /// Finds the wheel that the sources as they are gave before, or builds it. Says whether it had to.
    pub(super) async fn build(&self, project: &Path) -> Result<(Artifact, bool), Error> {
        let place = self.root.join(project);
        let manifest = fs::read_to_string(place.join("pyproject.toml"));
        let manifest = manifest.map_err(|_| Error::NoProject { project: project.to_owned() })?;
        if !manifest.contains("hatchling.build") {
            return Err(Error::Backend { project: project.to_owned() });
        }
        let mut index = self.load();
        let key = self.key(project)?;
        if let Some(it) = index.iter().find(|it| it.project == project && it.key == key)
            && let Some(artifact) = it.artifact.find(self.folder, &it.name)
        {
            return Ok((artifact, false));
        }
        let started = SystemTime::now();
        let this = Build::Wheel { project: project.to_owned() };
        (self.progress)(Progress::Begun { builds: vec![this.clone()] });
        let python = self.install().await?;
        (self.progress)(Progress::Status(format!("building {this}")));
        let (name, bytes) = self.run(&python, project).await?;
        let bytes = repack(&bytes).map_err(|err| Error::Wheel {
            project: project.to_owned(),
            output: format!("hatchling left no wheel that can be read: {err}"),
        })?;
        let (artifact, stored) = file::store(self.folder, &name, &bytes)?;
        // What changed while it was being built may or may not be in it: then nothing is remembered.
        if self.key(project)? == key && self.newest(project).is_none_or(|it| it < started) {
            index.retain(|it| it.project != project || it.key != key);
            index.insert(0, Entry { project: project.to_owned(), key, name, artifact: stored });
            let mut seen = 0;
            index.retain(|it| {
                seen += usize::from(it.project == project);
                it.project != project || seen <= REMEMBERED
            });
            let text = serde_json::to_vec_pretty(&index).unwrap_or_default();
            let path = self.folder.join("wheels.json");
            archive::write(&path, &text).map_err(Error::disk("write", &path))?;
            file::prune(self.folder, &index.iter().map(|it| it.artifact.digest()).collect(), SPARED);
        }
        Ok((artifact, true))
    }

    /// A cache: what cannot be read only costs a build.
    fn load(&self) -> Vec<Entry> {
        let text = fs::read(self.folder.join("wheels.json")).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Hashes everything that a wheel depends on: the sources, what is ignored among them, and what builds them.
    fn key(&self, project: &Path) -> Result<String, Error> {
        let mut hash = Sha256::new();
        let mut feed = |name: &str, content: &[u8]| archive::feed(&mut hash, name, content);
        feed("ecomctl", env!("CARGO_PKG_VERSION").as_bytes());
        feed("requirements", REQUIREMENTS.as_bytes());
        // Hatchling leaves out what git ignores.
        feed("ignored", &fs::read(self.root.join(".gitignore")).unwrap_or_default());
        for path in self.inputs(project) {
            let content = fs::read(self.root.join(&path)).map_err(Error::disk("read", &path))?;
            feed(&path.to_string_lossy(), &content);
        }
        Ok(hex(&hash.finalize()))
    }

    /// Lists the files of a project, relative to the root, sorted.
    fn inputs(&self, project: &Path) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        let mut open = vec![project.to_owned()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(self.root.join(&folder)).into_iter().flatten().flatten() {
                let name = entry.file_name();
                let Some(name) = name.to_str() else { continue };
                let hidden = name.starts_with('.') && name != ".gitignore";
                match entry.file_type() {
                    Ok(it) if it.is_dir() && !hidden && !DERIVED.contains(&name) => open.push(folder.join(name)),
                    Ok(it) if it.is_file() && !hidden => {
                        found.insert(folder.join(name));
                    }
                    _ => (),
                }
            }
        }
        found
    }

    fn newest(&self, project: &Path) -> Option<SystemTime> {
        let modified = |it: PathBuf| fs::metadata(self.root.join(it)).ok()?.modified().ok();
        self.inputs(project).into_iter().filter_map(modified).max()
    }

    /// Makes the Python environment that builds, unless it is there; returns its interpreter. Of several processes that
    /// find none, one makes it and the others wait.
    async fn install(&self) -> Result<PathBuf, Error> {
        let folder = self.home.join("wheel");
        let venv = folder.join(&hex(&Sha256::digest(REQUIREMENTS))[..16]);
        let python = venv.join("bin/python");
        if imports(&python).await {
            return Ok(python);
        }
        let _turn = take_turn(&folder, self.progress).await?;
        if imports(&python).await {
            return Ok(python);
        }
        (self.progress)(Progress::Status("installing hatchling, which builds wheels".into()));
        let draft = tempfile::tempdir_in(&folder).map_err(Error::disk("create", &folder))?;
        let requirements = draft.path().join("requirements.txt");
        archive::write(&requirements, REQUIREMENTS.as_bytes()).map_err(Error::disk("write", &requirements))?;
        let made = draft.path().join("venv");
        tool(Command::new("python3").args(["-m", "venv"]).arg(&made)).await?;
        let options =
            ["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--require-hashes"];
        let install = ["--only-binary", ":all:", "--requirement"];
        tool(Command::new(made.join("bin/python")).args(options).args(install).arg(&requirements)).await?;
        if venv.exists() {
            fs::remove_dir_all(&venv).map_err(Error::disk("remove", &venv))?;
        }
        fs::rename(&made, &venv).map_err(Error::disk("create", &venv))?;
        Ok(python)
    }

    /// Has hatchling build the wheel; returns its name and content.
    async fn run(&self, python: &Path, project: &Path) -> Result<(String, Vec<u8>), Error> {
        let out = tempfile::tempdir_in(self.home).map_err(Error::disk("create", self.home))?;
        let mut command = Command::new(python);
        command.args(["-I", "-m", "hatchling", "build", "--target", "wheel", "--directory"]).arg(out.path());
        command.current_dir(self.root.join(project)).env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::null());
        let output = command.kill_on_drop(true).output().await;
        let output = output.map_err(|err| Error::Python { reason: format!("cannot start its interpreter: {err}") })?;
        let failed = |output: String| Error::Wheel { project: project.to_owned(), output };
        if !output.status.success() {
            let text = [output.stdout, output.stderr].concat();
            return Err(failed(String::from_utf8_lossy(&text).trim().to_owned()));
        }
        let made = fs::read_dir(out.path()).map_err(Error::disk("read", out.path()))?.flatten();
        let mut made: Vec<PathBuf> = made.map(|it| it.path()).collect();
        match (made.pop(), made.is_empty()) {
            (Some(path), true) => {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if !name.ends_with("-none-any.whl") {
                    return Err(failed(format!("{name} runs on one sort of machine only; make it pure Python")));
                }
                Ok((name, fs::read(&path).map_err(Error::disk("read", &path))?))
            }
            _ => Err(failed("hatchling left not one wheel".to_owned())),
        }
    }
}

/// Says whether an interpreter finds hatchling. It is a link to the system's, which may have gone, or become another
/// version, since.
async fn imports(python: &Path) -> bool {
    let asked = Command::new(python).args(["-I", "-c", "import hatchling"]).stdin(Stdio::null()).output().await;
    asked.is_ok_and(|it| it.status.success())
}

async fn tool(command: &mut Command) -> Result<(), Error> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = output.map_err(|err| {
        let program = command.as_std().get_program().to_string_lossy();
        Error::Python { reason: format!("cannot start `{program}`: {err}") }
    })?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    Err(Error::Python { reason: String::from_utf8_lossy(&text).trim().to_owned() })
}

/// Packs the files of a wheel anew, in their order: how Python's zlib compresses differs between machines.
fn repack(wheel: &[u8]) -> ZipResult<Vec<u8>> {
    let options = SimpleFileOptions::default()
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644)
        .system(System::Unix)
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(6));
    let mut from = ZipArchive::new(Cursor::new(wheel))?;
    let mut to = ZipWriter::new(Cursor::new(Vec::with_capacity(wheel.len())));
    for i in 0..from.len() {
        let mut entry = from.by_index(i)?;
        let (name, mut content) = (entry.name()?.into_owned(), Vec::new());
        entry.read_to_end(&mut content)?;
        to.start_file(name, options)?;
        to.write_all(&content)?;
    }
    Ok(to.finish()?.into_inner())
}

#[cfg(test)]
mod tests;
