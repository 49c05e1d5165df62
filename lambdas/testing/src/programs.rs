//! Where `PostgreSQL`'s programs are, and how they are run by root, whom they refuse. The system's own programs, or the
//! packaged build that the local cloud uses too, downloaded once by Maven.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use crate::Error;

/// Has what tests need and no client programs.
const PACKAGED: &str = "io.zonky.test.postgres:embedded-postgres-binaries-linux-{machine}:17.11.0";
const NOBODY: u32 = 65534;

/// A jar is a zip; in it is one archive.
const UNPACK: &str = "
import pathlib, tarfile, zipfile
jar, = pathlib.Path().glob('*.jar')
with zipfile.ZipFile(jar) as outer:
    name, = (it for it in outer.namelist() if it.endswith('.txz'))
    with outer.open(name) as file, tarfile.open(fileobj=file, mode='r:xz') as inner:
        inner.extractall()
";

/// Who the server is, when tests run as root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Identity {
    /// Whoever runs the tests.
    Same,
    /// Root outside and another user inside of a user namespace.
    Namespace,
    /// The user nobody.
    Nobody,
}

/// The directory of `postgres` and `initdb`. `ECOMCTL_POSTGRES=packaged` passes the system's over.
pub(crate) fn directory() -> Result<&'static Path, Error> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let find = || {
        let is_packaged = std::env::var("ECOMCTL_POSTGRES").is_ok_and(|value| value == "packaged");
        system().filter(|_| !is_packaged).map_or_else(packaged, Ok).map_err(|e| e.to_string())
    };
    FOUND.get_or_init(find).as_deref().map_err(|e| e.clone().into())
}

/// A command for one of the programs, run by somebody whom it does not refuse.
pub(crate) fn command(name: &str) -> Result<Command, Error> {
    let program = directory()?.join(name);
    let (namespace, nobody) = (
        ["--user", "--map-user=65534", "--map-group=65534", "--"],
        ["--reuid=65534", "--regid=65534", "--clear-groups", "--"],
    );
    let (outer, args) = match identity()? {
        Identity::Same => return Ok(Command::new(program)),
        Identity::Namespace => ("unshare", namespace.as_slice()),
        Identity::Nobody => ("setpriv", nobody.as_slice()),
    };
    let mut command = Command::new(outer);
    command.args(args).arg(program);
    Ok(command)
}

/// Makes a file the server's own.
pub(crate) fn give_away(file: &Path) -> Result<(), Error> {
    if identity()? == Identity::Nobody {
        chown(file, Some(NOBODY), Some(NOBODY))?;
    }
    Ok(())
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Result<(), Error> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&said)).into())
}

fn identity() -> io::Result<Identity> {
    static FOUND: OnceLock<Identity> = OnceLock::new();
    if fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(Identity::Same);
    }
    let works =
        || run(Command::new("unshare").args(["--user", "--map-user=65534", "--map-group=65534", "true"])).is_ok();
    Ok(*FOUND.get_or_init(|| if works() { Identity::Namespace } else { Identity::Nobody }))
}

/// On the path, or where Debian and Red Hat keep it; the newest where there are several.
fn system() -> Option<PathBuf> {
    let has_programs = |dir: &PathBuf| dir.join("postgres").is_file() && dir.join("initdb").is_file();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).find(|dir| has_programs(dir));
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, dir)| has_programs(dir))
        .collect();
    versions.sort();
    let red_hat =
        || (14..30).rev().map(|version| PathBuf::from(format!("/usr/pgsql-{version}/bin"))).find(has_programs);
    on_path.or_else(|| versions.pop().map(|(_, dir)| dir)).or_else(red_hat)
}

/// The packaged build in Cargo's target directory; downloaded when it is not there.
fn packaged() -> Result<PathBuf, Error> {
    let machine = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64v8",
        other => {
            return Err(format!("there is no packaged PostgreSQL for {other}: install PostgreSQL 14 or newer").into());
        }
    };
    let artifact = PACKAGED.replace("{machine}", machine);
    // Of the target directory's own: the tests' binaries are in `<target>/<profile>/deps`.
    let tests = std::env::current_exe()?;
    let target = tests.ancestors().nth(3).ok_or("the tests are not in a target directory")?;
    let home = target.join(format!("postgres-{}", artifact.rsplit(':').next().unwrap_or_default()));
    let lock = File::create(target.join("postgres.lock"))?;
    // Of several test programs one downloads; the lock goes with the file.
    lock.lock()?;
    if !home.exists() {
        let draft = tempfile::tempdir_in(target)?;
        let mut maven = Command::new("mvn");
        maven.args(["--batch-mode", "--quiet", "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"]);
        maven.arg(format!("-Dartifact={artifact}")).arg(format!("-DoutputDirectory={}", draft.path().display()));
        run(maven.current_dir(draft.path()))?;
        run(Command::new("python3").current_dir(draft.path()).args(["-c", UNPACK]))?;
        fs::rename(draft.keep(), &home)?;
    }
    Ok(home.join("bin"))
}
