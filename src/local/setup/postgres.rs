//! `PostgreSQL`: the system's own programs, or else a packaged build by Maven.

use std::{env, fs, path::PathBuf, time::Duration};

use super::{Draft, PATIENCE, is_made_from, tool};
use crate::local::{
    doctor::{Tools, at_least, find},
    error::{Error, Result},
    home::Home,
    run::{Run, ask},
};

/// The build that is downloaded where the system has none; PostgreSQL's own sources, packed for tests of Java programs.
pub(crate) const PACKAGED: &str = "io.zonky.test.postgres:embedded-postgres-binaries-linux:17.11.0";

/// Says whether the packaged build is to be used: when told so, or when the system has none.
pub(crate) async fn is_wanted() -> bool {
    env::var("ECOMCTL_POSTGRES").is_ok_and(|it| it == "packaged") || system().await.is_none()
}

/// Says whether there is nothing to do.
pub(crate) async fn is_complete(home: &Home) -> bool {
    is_made_from(&home.postgres(), PACKAGED) || !is_wanted().await
}

/// The directory of the programs to use.
pub(crate) async fn programs(home: &Home) -> PathBuf {
    let system = if is_wanted().await { None } else { system().await };
    system.map_or_else(|| home.postgres().join("bin"), |it| it.0)
}

/// The system's newest `PostgreSQL` of version 14 or later: the directory of its programs, and its version.
pub(crate) async fn system() -> Option<(PathBuf, String)> {
    for dir in directories() {
        // `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`
        let answer = ask(&dir.join("postgres"), &["--version"]).await.unwrap_or_default();
        if let Some(version) = answer.split_whitespace().nth(2)
            && at_least(version, &[14])
        {
            return Some((dir, version.to_owned()));
        }
    }
    None
}

/// Where the system may have it, the best first.
fn directories() -> Vec<PathBuf> {
    // Debian keeps each version in a directory of its own, and none of the server's programs in the path.
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|it| it.ok())
        .filter_map(|it| Some((it.file_name().to_str()?.parse().ok()?, it.path().join("bin"))))
        .collect();
    versions.sort_by_key(|it| std::cmp::Reverse(it.0));
    let path = find("postgres").and_then(|it| Some(fs::canonicalize(it).ok()?.parent()?.to_owned()));
    let fedora = ["/usr/pgsql-18/bin", "/usr/pgsql-17/bin", "/usr/pgsql-16/bin"].map(PathBuf::from);
    let all = versions.into_iter().map(|it| it.1).chain(path).chain(fedora);
    let mut found: Vec<PathBuf> = Vec::new();
    for dir in all.filter(|it| it.join("postgres").is_file() && it.join("initdb").is_file()) {
        if !found.contains(&dir) {
            found.push(dir);
        }
    }
    found
}

/// Downloads the packaged build and unpacks it.
pub(crate) async fn make(home: &Home, tools: &Tools) -> Result<()> {
    let draft = Draft::begin(home.postgres())?;
    let (group, rest) = PACKAGED.split_once(':').unwrap_or_default();
    let (artifact, version) = rest.split_once(':').unwrap_or_default();
    let machine = match env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64v8",
        other => {
            return Err(Error::Start {
                message: format!("there is no packaged PostgreSQL for {other}"),
                help: "install PostgreSQL 14 or newer with this machine's package tool".to_owned(),
            });
        }
    };
    let help =
        "check that Maven reaches its repository, or install PostgreSQL 14 or newer; then run the same command again";
    let run = Run { what: "download PostgreSQL", help, patience: PATIENCE };
    let mut mvn = tool(home, &tools.maven);
    mvn.args(["--batch-mode", "--quiet", "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"]);
    mvn.arg(format!("-Dartifact={group}:{artifact}-{machine}:{version}"));
    run.run(mvn.current_dir(&draft.path).arg(format!("-DoutputDirectory={}", draft.path.display()))).await?;

    let run = Run {
        what: "unpack PostgreSQL",
        help: "check that Python has zlib and lzma",
        patience: Duration::from_secs(120),
    };
    // A jar is a zip; in it is one archive, `postgres-linux-x86_64.txz`.
    let unpack = "import pathlib, tarfile, zipfile\n\
                  jar, = pathlib.Path().glob('*.jar')\n\
                  with zipfile.ZipFile(jar) as outer:\n\
                  \x20   name, = (it for it in outer.namelist() if it.endswith('.txz'))\n\
                  \x20   with outer.open(name) as file, tarfile.open(fileobj=file, mode='r:xz') as inner:\n\
                  \x20       inner.extractall()\n\
                  jar.unlink()\n";
    run.run(tool(home, &tools.python).current_dir(&draft.path).args(["-c", unpack])).await?;
    draft.complete(PACKAGED)
}
