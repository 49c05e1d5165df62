//! A PostgreSQL server that a test owns: its data in a temporary directory, reachable through a Unix socket only.

use std::{
    io::{self, Write},
    net::TcpListener,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::Error;

/// The one role that has to show a password (over the socket, too); every other role is trusted.
pub const PASSWORD_ROLE: &str = "shopkeeper";

const START_DEADLINE: Duration = Duration::from_secs(60);
const NOBODY: &str = "65534";

/// Runs the server until its standard input ends, which it does however the test process ends. Then nothing remains:
/// neither the process nor its data. A line on the input stops the server and leaves the data for a restart.
const SUPERVISOR: &str = r#"
directory=$1
shift
"$@" >"$directory/log" 2>&1 </dev/null &
server=$!
read -r _ && keep=yes
kill -QUIT $server 2>/dev/null
wait $server
[ "$keep" ] || rm -rf "$directory"
"#;

/// A running server. Ends, and its data with it, when dropped or when the test process ends in any way.
#[derive(Debug)]
pub struct Server {
    directory: PathBuf,
    settings: Vec<String>,
    port: u16,
    supervisor: Option<(Child, ChildStdin)>,
    databases: AtomicU32,
}

impl Server {
    /// Starts a server that does without the disk's guarantees, which is what tests want.
    pub fn start() -> Result<Self, Error> {
        Self::start_with(&["fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_connections=60"])
    }

    /// Starts a server with these settings (`name=value`) over PostgreSQL's defaults.
    pub fn start_with(settings: &[&str]) -> Result<Self, Error> {
        let mut server = Self::prepare(settings)?;
        server.restart()?;
        Ok(server)
    }

    /// Starts a server that also takes TLS connections to `localhost`, with a certificate for that name. The
    /// authority behind it is in the file `authority`.
    pub fn start_tls() -> Result<Self, Error> {
        let mut server = Self::prepare(&["fsync=off", "listen_addresses=localhost", "ssl=on"])?;
        server.port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec!["localhost".to_owned()])?.signed_by(&key, &authority)?;
        let data = server.directory.join("data");
        server.write(&data.join("server.crt"), &certificate.pem())?;
        server.write(&data.join("server.key"), &key.serialize_pem())?;
        std::fs::write(server.authority(), authority.pem())?;
        server.restart()?;
        Ok(server)
    }

    fn prepare(settings: &[&str]) -> Result<Self, Error> {
        let directory = tempfile::Builder::new().prefix("pg-").tempdir()?.keep();
        let server = Self {
            directory,
            settings: settings.iter().map(ToString::to_string).collect(),
            port: 5432,
            supervisor: None,
            databases: AtomicU32::new(0),
        };
        give_away(&server.directory)?;
        let data = server.directory.join("data");
        let mut initdb = unprivileged(&binary("initdb")?)?;
        initdb.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync", "-D"]).arg(&data);
        run(&mut initdb)?;
        std::fs::write(
            data.join("pg_hba.conf"),
            format!("local all {PASSWORD_ROLE} scram-sha-256\nlocal all all trust\nhostssl all all localhost trust\n"),
        )?;
        Ok(server)
    }

    /// The port of its sockets.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The certificate authority of a server that takes TLS connections.
    pub fn authority(&self) -> PathBuf {
        self.directory.join("authority.pem")
    }

    /// Writes a file that only the server may read, as it demands of its key.
    fn write(&self, file: &Path, text: &str) -> Result<(), Error> {
        std::fs::write(file, text)?;
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600))?;
        give_away(file)
    }

    /// The server that all tests of a process share, each in a database of its own.
    pub fn shared() -> Result<&'static Self, Error> {
        static SHARED: OnceLock<Result<Server, String>> = OnceLock::new();
        SHARED.get_or_init(|| Self::start().map_err(|e| e.to_string())).as_ref().map_err(|e| e.clone().into())
    }

    /// The directory of its socket: what a client takes for the host.
    pub fn host(&self) -> &str {
        self.directory.to_str().unwrap_or_default()
    }

    /// Creates an empty database and returns its name.
    pub fn database(&self) -> Result<String, Error> {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"))?;
        Ok(name)
    }

    /// Runs SQL as the superuser and returns what it prints, unaligned.
    pub fn sql(&self, database: &str, sql: &str) -> Result<String, Error> {
        let mut psql = Command::new(binary("psql")?);
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-h", self.host()]);
        psql.args(["-p", &self.port.to_string()]);
        run(psql.args(["-d", database, "-c", sql]))
    }

    /// Ends the server at once, as a power cut would, and keeps its data.
    pub fn crash(&mut self) -> Result<(), Error> {
        if let Some((mut supervisor, mut input)) = self.supervisor.take() {
            input.write_all(b"stop\n")?;
            supervisor.wait()?;
        }
        Ok(())
    }

    /// Starts the server again over the data it had, and waits until it takes connections.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.crash()?;
        let mut supervisor = Command::new("sh");
        supervisor.args(["-c", SUPERVISOR, "sh"]).arg(&self.directory);
        let server = unprivileged(&binary("postgres")?)?;
        supervisor.arg(server.get_program()).args(server.get_args());
        supervisor.arg("-D").arg(self.directory.join("data")).arg("-k").arg(&self.directory);
        supervisor.args(["-p", &self.port.to_string(), "-c", "listen_addresses="]);
        for setting in &self.settings {
            supervisor.args(["-c", setting]);
        }
        // Its own process group: an interrupt at the terminal must not end it before it has cleaned up.
        let mut child = supervisor.stdin(Stdio::piped()).process_group(0).spawn()?;
        let input = child.stdin.take().ok_or("the supervisor has no input")?;
        self.supervisor = Some((child, input));
        let pg_isready = binary("pg_isready")?;
        let deadline = Instant::now() + START_DEADLINE;
        let mut probe = Command::new(pg_isready);
        probe.args(["-q", "-d", "postgres", "-h", self.host(), "-p", &self.port.to_string()]);
        while !probe.status()?.success() {
            if Instant::now() > deadline {
                let log = std::fs::read_to_string(self.directory.join("log")).unwrap_or_default();
                return Err(format!("postgres did not start: {log}").into());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Errors have nowhere to go here, and the supervisor cleans up when its input closes in any case.
        let _ = self.crash();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Finds a program of PostgreSQL on the PATH or where Debian and Red Hat keep it; the newest where there are several.
fn binary(name: &str) -> Result<PathBuf, Error> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if let Some(found) = std::env::split_paths(&path).map(|d| d.join(name)).find(|p| p.is_file()) {
        return Ok(found);
    }
    let mut versions: Vec<(u32, PathBuf)> = ["/usr/lib/postgresql", "/usr/pgsql"]
        .iter()
        .filter_map(|root| std::fs::read_dir(root).ok())
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin").join(name)))
        })
        .filter(|(_, program)| program.is_file())
        .collect();
    versions.sort();
    let (_, newest) = versions.pop().ok_or_else(|| format!("{name} is missing: install PostgreSQL"))?;
    Ok(newest)
}

/// A command that does not run as root, which PostgreSQL refuses.
fn unprivileged(program: &Path) -> Result<Command, Error> {
    if !is_root()? {
        return Ok(Command::new(program));
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--"]).arg(program);
    Ok(command)
}

/// Makes a file the server's own, where tests run as root and the server does not.
fn give_away(file: &Path) -> Result<(), Error> {
    if is_root()? {
        std::os::unix::fs::chown(file, Some(65534), Some(65534))?;
    }
    Ok(())
}

fn is_root() -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    Ok(std::fs::metadata("/proc/self")?.uid() == 0)
}

fn run(command: &mut Command) -> Result<String, Error> {
    let output = command.current_dir("/").output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_data_over_a_crash_and_leaves_nothing_when_dropped() -> Result<(), Error> {
        let mut server = Server::start_with(&[])?;
        let database = server.database()?;
        server.sql(&database, "CREATE TABLE kept AS SELECT 7 AS n")?;
        server.crash()?;
        assert!(server.sql(&database, "SELECT 1").is_err());
        server.restart()?;
        assert_eq!(server.sql(&database, "SELECT n FROM kept")?, "7\n");
        let directory = server.directory.clone();
        drop(server);
        assert!(!directory.exists());
        Ok(())
    }
}
