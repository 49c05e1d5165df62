//! A `PostgreSQL` server that a test owns: its data in a temporary directory, reachable through a Unix socket only.

use std::{
    io::Write,
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

use tokio_postgres::{NoTls, SimpleQueryMessage};

use crate::{Error, programs};

/// The one role that has to show a password (over the socket, too); every other role is trusted.
pub const PASSWORD_ROLE: &str = "shopkeeper";

const START_DEADLINE: Duration = Duration::from_mins(1);

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

    /// Starts a server with these settings (`name=value`) over `PostgreSQL`'s defaults.
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
        Self::write(&data.join("server.crt"), &certificate.pem())?;
        Self::write(&data.join("server.key"), &key.serialize_pem())?;
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
        programs::give_away(&server.directory)?;
        let data = server.directory.join("data");
        let mut initdb = programs::command("initdb")?;
        initdb.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync", "-D"]).arg(&data);
        programs::run(initdb.current_dir("/"))?;
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
    fn write(file: &Path, text: &str) -> Result<(), Error> {
        std::fs::write(file, text)?;
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600))?;
        programs::give_away(file)
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

    /// Runs SQL as the superuser and returns its rows, a line each, fields apart by `|`.
    pub fn sql(&self, database: &str, sql: &str) -> Result<String, Error> {
        query(&format!("host={} port={} user=postgres dbname={database}", self.host(), self.port), sql)
    }

    /// Processor time that the server has used since it started, all its processes together. Linux counts it in
    /// hundredths of a second.
    pub fn cpu(&self) -> Result<Duration, Error> {
        let pid = std::fs::read_to_string(self.directory.join("data/postmaster.pid"))?;
        let pid = pid.lines().next().unwrap_or_default().to_owned();
        let mut ticks = 0;
        for entry in std::fs::read_dir("/proc")?.flatten() {
            // Processes may end while they are looked at.
            let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
            // Fields after the name, see proc(5): ppid is the 2nd, user and system time the 12th and 13th, those of
            // children that have ended the 14th and 15th.
            let Some((_, fields)) = stat.rsplit_once(") ") else { continue };
            let fields: Vec<&str> = fields.split(' ').collect();
            let is_server = entry.file_name().to_str() == Some(&pid);
            let counted = if is_server { 11..15 } else { 11..13 };
            if is_server || fields.get(1) == Some(&pid.as_str()) {
                ticks +=
                    fields.get(counted).unwrap_or_default().iter().filter_map(|t| t.parse::<u64>().ok()).sum::<u64>();
            }
        }
        Ok(Duration::from_millis(ticks * 10))
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
        let server = programs::command("postgres")?;
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
        let deadline = Instant::now() + START_DEADLINE;
        while self.sql("postgres", "SELECT 1").is_err() {
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

/// Runs SQL to its end on a thread of its own, as the caller's may be driving a runtime already.
fn query(url: &str, sql: &str) -> Result<String, Error> {
    let (url, sql) = (url.to_owned(), sql.to_owned());
    let worker = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
            let traffic = tokio::spawn(connection);
            let answer = client.simple_query(&sql).await;
            drop(client);
            traffic.await??;
            Ok::<_, Error>(lines(&answer.map_err(|e| e.as_db_error().map_or(e.to_string(), ToString::to_string))?))
        })
    });
    worker.join().map_err(|_| "the thread of the query panicked")?
}

/// One line per row, fields apart by `|`; null is nothing.
fn lines(messages: &[SimpleQueryMessage]) -> String {
    let mut text = String::new();
    for message in messages {
        if let SimpleQueryMessage::Row(row) = message {
            let fields: Vec<&str> = (0..row.len()).map(|at| row.get(at).unwrap_or_default()).collect();
            text.push_str(&fields.join("|"));
            text.push('\n');
        }
    }
    text
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
