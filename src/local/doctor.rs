//! What this machine must have before the local cloud can run, and how to get what is missing. Installs nothing.

use std::{
    collections::BTreeMap,
    env, fmt, fs,
    path::{Path, PathBuf},
};

use serde::Serialize;
use tokio::join;

use super::{
    exec, files,
    home::Home,
    ports::Ports,
    run::ask,
    setup::{kafka, postgres},
};

/// One thing that was looked for.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What, such as `Java`.
    pub name: &'static str,
    /// What for.
    pub purpose: &'static str,
    /// Whether there is no way without it.
    pub needed: bool,
    /// What was found; none when nothing was.
    pub found: Option<String>,
    /// What is wrong with it; none when it will do.
    pub problem: Option<String>,
    /// What to do about that.
    pub fix: Option<String>,
}

impl Check {
    fn good(name: &'static str, purpose: &'static str, found: impl Into<String>) -> Self {
        Self { name, purpose, needed: true, found: Some(found.into()), problem: None, fix: None }
    }

    fn bad(name: &'static str, purpose: &'static str, problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, purpose, needed: true, found: None, problem: Some(problem.into()), fix: Some(fix.into()) }
    }

    fn optional(self) -> Self {
        Self { needed: false, ..self }
    }

    /// Says whether it stands in the way.
    pub fn blocks(&self) -> bool {
        self.needed && self.problem.is_some()
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (for {}): ", self.name, self.purpose)?;
        match (&self.problem, &self.fix) {
            (Some(problem), Some(fix)) => write!(f, "{problem}; {fix}"),
            (Some(problem), None) => f.write_str(problem),
            (None, _) => f.write_str(self.found.as_deref().unwrap_or("found")),
        }
    }
}

/// Checks everything that `ecomctl` uses on this machine, in the order of the README.
pub async fn check(home: &Home) -> Vec<Check> {
    let (python, java, maven, rust, postgres) = join!(python(), java(), maven(), rust(), postgres());
    let mut checks = vec![rust, linker(), python.0, java.0, maven.0, git(), postgres];
    if rustix::process::geteuid().is_root() {
        checks.push(root(home).await);
    }
    if super::control::running(home).await.is_ok_and(|it| it.is_none()) {
        checks.extend(ports(home));
    }
    checks.extend(disk(home));
    checks
}

/// The programs that the set-up and the parts are run with.
#[derive(Clone, Debug)]
pub(crate) struct Tools {
    /// Python 3.11 or newer, with `venv` and `ensurepip`.
    pub(crate) python: PathBuf,
    /// Java 17 or newer.
    pub(crate) java: PathBuf,
    /// Maven.
    pub(crate) maven: PathBuf,
}

/// Finds the programs that the local cloud needs, or all that is in the way. Does not ask for Maven when its work is done.
pub(crate) async fn tools(home: &Home) -> Result<Tools, Vec<Check>> {
    let maven = async {
        let complete = kafka::is_complete(home) && postgres::is_complete(home).await;
        if complete { (Check::good("Maven", "", ""), Some(PathBuf::new())) } else { maven().await }
    };
    match join!(python(), java(), maven) {
        ((_, Some(python)), (_, Some(java)), (_, Some(maven))) => Ok(Tools { python, java, maven }),
        ((python, _), (java, _), (maven, _)) => Err([python, java, maven].into_iter().filter(Check::blocks).collect()),
    }
}

/// Finds Python, which is all that some software needs, or says what is in the way.
pub(crate) async fn python_for_setup() -> Result<PathBuf, Check> {
    match python().await {
        (_, Some(path)) => Ok(path),
        (check, None) => Err(check),
    }
}

async fn python() -> (Check, Option<PathBuf>) {
    const NAME: &str = "Python";
    const PURPOSE: &str = "the control plane of the local cloud, and Spark";
    const PROBE: &str = "import sys, venv, ensurepip, ssl; print('.'.join(map(str, sys.version_info[:3])))";
    let fix = || install("python3 python3-venv", "python3", "python");
    let mut problem = "not found".to_owned();
    for name in ["python3", "python3.13", "python3.12", "python3.11"] {
        let Some(path) = find(name) else { continue };
        match ask(&path, &["-c", PROBE]).await {
            Some(version) if at_least(&version, &[3, 11]) => {
                return (Check::good(NAME, PURPOSE, format!("{version} ({})", path.display())), Some(path));
            }
            Some(version) => problem = format!("{} is {version}, needed is 3.11 or newer", path.display()),
            None => problem = format!("{} lacks venv, ensurepip or ssl", path.display()),
        }
    }
    (Check::bad(NAME, PURPOSE, problem, fix()), None)
}

async fn java() -> (Check, Option<PathBuf>) {
    const NAME: &str = "Java";
    const PURPOSE: &str = "Apache Kafka";
    let fix = || install("openjdk-17-jdk-headless", "java-17-openjdk-headless", "openjdk@17");
    let home = env::var_os("JAVA_HOME").map(|it| Path::new(&it).join("bin/java")).filter(|it| it.is_file());
    let Some(path) = home.or_else(|| find("java")) else {
        return (Check::bad(NAME, PURPOSE, "not found", fix()), None);
    };
    let answer = ask(&path, &["-version"]).await.unwrap_or_default();
    // `openjdk version "17.0.15" 2025-04-15`; before 9 it was "1.8.0_412".
    match answer.split('"').nth(1) {
        Some(version) if at_least(version, &[17]) => {
            (Check::good(NAME, PURPOSE, format!("{version} ({})", path.display())), Some(path))
        }
        Some(version) => {
            let problem = format!("{} is {version}, needed is 17 or newer", path.display());
            (Check::bad(NAME, PURPOSE, problem, fix()), None)
        }
        None => (Check::bad(NAME, PURPOSE, format!("{} does not run", path.display()), fix()), None),
    }
}

async fn maven() -> (Check, Option<PathBuf>) {
    const NAME: &str = "Maven";
    const PURPOSE: &str = "getting Kafka's jars";
    let fix = || install("maven", "maven", "maven");
    let Some(path) = find("mvn") else { return (Check::bad(NAME, PURPOSE, "not found", fix()), None) };
    // `--batch-mode` keeps colours out of the answer: `Apache Maven 3.8.7`.
    match ask(&path, &["--batch-mode", "--version"]).await {
        Some(answer) => {
            let version = answer.split_whitespace().find(|it| it.starts_with(|it: char| it.is_ascii_digit()));
            (Check::good(NAME, PURPOSE, format!("{} ({})", version.unwrap_or("found"), path.display())), Some(path))
        }
        None => (Check::bad(NAME, PURPOSE, format!("{} does not run", path.display()), fix()), None),
    }
}

async fn rust() -> Check {
    const NAME: &str = "Rust";
    const PURPOSE: &str = "building the Lambdas";
    let fix = "install it from https://rustup.rs";
    let (Some(cargo), Some(rustc)) = (find("cargo"), find("rustc")) else {
        return Check::bad(NAME, PURPOSE, "cargo and rustc not found", fix);
    };
    match ask(&rustc, &["--version"]).await.as_deref().and_then(|it| it.split_whitespace().nth(1)) {
        Some(version) if at_least(version, &[1, 95]) => {
            Check::good(NAME, PURPOSE, format!("{version} ({})", cargo.display()))
        }
        Some(version) => {
            Check::bad(NAME, PURPOSE, format!("it is {version}, needed is 1.95 or newer"), "run `rustup update`")
        }
        None => Check::bad(NAME, PURPOSE, format!("{} does not run", rustc.display()), fix),
    }
}

fn linker() -> Check {
    const NAME: &str = "C compiler";
    const PURPOSE: &str = "linking what Rust compiles";
    match find("cc") {
        Some(path) => Check::good(NAME, PURPOSE, path.display().to_string()),
        None => Check::bad(NAME, PURPOSE, "`cc` not found", install("gcc libc6-dev", "gcc", "gcc")),
    }
}

fn git() -> Check {
    const NAME: &str = "git";
    const PURPOSE: &str = "telling which commit is deployed, and that no older one deletes anything";
    match find("git") {
        Some(path) => Check::good(NAME, PURPOSE, path.display().to_string()),
        None => Check::bad(NAME, PURPOSE, "not found", install("git", "git", "git")).optional(),
    }
}

async fn postgres() -> Check {
    const NAME: &str = "PostgreSQL";
    const PURPOSE: &str = "the database; without it a packaged build is downloaded";
    match postgres::system().await {
        Some((dir, version)) => Check::good(NAME, PURPOSE, format!("{version} ({})", dir.display())).optional(),
        None => Check {
            found: Some(postgres::PACKAGED.to_owned()),
            ..Check::bad(NAME, PURPOSE, "none of version 14 or newer on this machine", "nothing to do")
        }
        .optional(),
    }
}

async fn root(home: &Home) -> Check {
    const NAME: &str = "user namespaces";
    const PURPOSE: &str = "running PostgreSQL as root, which it refuses otherwise";
    match exec::Identity::choose(home.program(), &home.data()).await {
        Ok(identity) => Check::good(NAME, PURPOSE, identity.describe()),
        Err(err) => Check::bad(NAME, PURPOSE, err.to_string(), "run ecomctl as an ordinary user"),
    }
}

fn ports(home: &Home) -> Option<Check> {
    const NAME: &str = "ports";
    const PURPOSE: &str = "the parts of the local cloud, on 127.0.0.1";
    if home.wants_free_ports() && !home.ports().exists() {
        return Some(Check::good(NAME, PURPOSE, "free ones will be chosen"));
    }
    let ports = Ports::known(home).ok()?;
    let listed = ports.all().map(|it| it.0.to_string()).join(", ");
    Some(match ports.check() {
        Ok(()) => Check::good(NAME, PURPOSE, format!("{listed} are free")),
        Err(err) => Check::bad(NAME, PURPOSE, err.to_string(), "end that program, or set ECOMCTL_PORTS=free"),
    })
}

fn disk(home: &Home) -> Option<Check> {
    const NAME: &str = "disk space";
    const PURPOSE: &str = "software and data of the local cloud";
    const NEEDED: u64 = 3 << 30;
    let existing = home.local().ancestors().find(|it| it.exists())?;
    let stat = rustix::fs::statvfs(existing).ok()?;
    let free = stat.f_bavail * stat.f_frsize;
    let text = format!("{} free on {}", bytesize::ByteSize(free), existing.display());
    Some(if free >= NEEDED {
        Check::good(NAME, PURPOSE, text)
    } else {
        Check::bad(NAME, PURPOSE, format!("{text}, needed are 3 GiB"), "make room, or set ECOMCTL_HOME to another disk")
    })
}

/// Finds a program as a shell does.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|it| it.join(name)).find(|it| {
        use std::os::unix::fs::PermissionsExt;
        fs::metadata(it).is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
    })
}

/// Compares the numbers of a version with those that are needed.
pub(crate) fn at_least(version: &str, needed: &[u32]) -> bool {
    let found: Vec<u32> = version.split(|it: char| !it.is_ascii_digit()).map_while(|it| it.parse().ok()).collect();
    found.as_slice() >= needed
}

/// How to install packages here.
fn install(apt: &str, dnf: &str, brew: &str) -> String {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    match family(&release) {
        Some("apt") => format!("install it: sudo apt-get install --yes {apt}"),
        Some("dnf") => format!("install it: sudo dnf install --assumeyes {dnf}"),
        _ => format!("install it: brew install {brew}"),
    }
}

/// The package tool of a distribution, by its os-release(5).
fn family(release: &str) -> Option<&'static str> {
    let fields: BTreeMap<_, _> = release
        .lines()
        .filter_map(|it| it.split_once('='))
        .map(|(name, value)| (name, value.trim_matches('"')))
        .collect();
    let ids = ["ID", "ID_LIKE"].into_iter().filter_map(|it| fields.get(it)).flat_map(|it| it.split_whitespace());
    ids.into_iter().find_map(|it| match it {
        "debian" | "ubuntu" => Some("apt"),
        "fedora" | "rhel" | "centos" | "amzn" => Some("dnf"),
        _ => None,
    })
}

/// The end of a part's log, for an error.
pub(crate) fn log_tail(home: &Home, part: &str) -> String {
    files::tail(&home.log(part), 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert!(at_least("3.11.7", &[3, 11]));
        assert!(at_least("3.13.0", &[3, 11]));
        assert!(!at_least("3.9.18", &[3, 11]));
        assert!(at_least("17.0.15", &[17]));
        assert!(at_least("21-ea", &[17]));
        assert!(!at_least("1.8.0_412", &[17]));
        assert!(!at_least("", &[1]));
    }

    #[test]
    fn distributions_are_told_by_their_relatives_too() {
        assert_eq!(family("ID=debian\n"), Some("apt"));
        assert_eq!(family("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"), Some("apt"));
        assert_eq!(family("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n"), Some("dnf"));
        assert_eq!(family("ID=alpine\n"), None);
    }

    #[test]
    fn a_missing_thing_says_what_for_and_what_to_do() {
        let check = Check::bad("Java", "Apache Kafka", "not found", "install it: brew install openjdk@17");
        assert_eq!(check.to_string(), "Java (for Apache Kafka): not found; install it: brew install openjdk@17");
        assert!(check.blocks());
        assert!(!check.optional().blocks());
    }
}
