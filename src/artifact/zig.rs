//! The linker zig, which links against any version of glibc and for any processor, and `cargo-zigbuild`, which lets
//! cargo use it: installed from pinned and hashed wheels into a Python environment of their own when first needed.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use sha2::{Digest as _, Sha256};
use tokio::process::Command;

use super::{
    Error, Progress,
    archive::{self, hex},
    take_turn,
};

const REQUIREMENTS: &str = include_str!("zig/requirements.txt");

/// Where zig is installed.
pub(super) struct Zig {
    folder: PathBuf,
}

impl Zig {
    /// The program that stands in for `cargo`.
    pub(super) fn program(&self) -> PathBuf {
        self.folder.join("venv/bin/cargo-zigbuild")
    }

    /// What it must find in its environment: its own Python first, and caches that lie with the rest of it.
    pub(super) fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        let path = env::var_os("PATH").unwrap_or_default();
        let own = self.folder.join("venv/bin");
        let path = env::join_paths(std::iter::once(own).chain(env::split_paths(&path))).unwrap_or(path);
        vec![
            ("PATH", path.into()),
            ("CARGO_ZIGBUILD_CACHE_DIR", self.folder.join("cache")),
            ("ZIG_GLOBAL_CACHE_DIR", self.folder.join("cache")),
            ("ZIG_LOCAL_CACHE_DIR", self.folder.join("cache")),
        ]
    }
}

/// Installs it, unless it is there. Interrupted at any point, it starts over the next time.
pub(super) async fn install(home: &Path, progress: &(dyn Fn(Progress) + Sync)) -> Result<Zig, Error> {
    let zig = Zig { folder: home.join("zig") };
    let stamp = zig.folder.join("installed");
    let wanted = hex(&Sha256::digest(REQUIREMENTS));
    let installed = || fs::read_to_string(&stamp).is_ok_and(|it| it == wanted);
    if installed() {
        return Ok(zig);
    }
    let _turn = take_turn(&zig.folder, progress).await?;
    if installed() {
        return Ok(zig);
    }
    progress(Progress::Status("installing the linker zig (100 MB)".into()));
    let venv = zig.folder.join("venv");
    let requirements = zig.folder.join("requirements.txt");
    archive::write(&requirements, REQUIREMENTS.as_bytes()).map_err(Error::disk("write", &requirements))?;
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv)).await?;
    let options =
        ["install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--only-binary", ":all:", "-r"];
    run(Command::new(venv.join("bin/pip")).args(options).arg(&requirements)).await?;
    archive::write(&stamp, wanted.as_bytes()).map_err(Error::disk("write", &stamp))?;
    Ok(zig)
}

async fn run(command: &mut Command) -> Result<(), Error> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = output.map_err(|err| {
        let program = command.as_std().get_program().to_string_lossy();
        Error::Zig { reason: format!("cannot start `{program}`: {err}") }
    })?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    Err(Error::Zig { reason: String::from_utf8_lossy(&text).trim().to_owned() })
}
