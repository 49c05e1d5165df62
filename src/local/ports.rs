//! The ports of the local cloud: fixed, or free ones that are chosen once and remembered.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::Path,
};

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::{
    error::{Error, Result},
    files,
    home::Home,
    process,
};

/// Ports of 127.0.0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ports {
    /// The one endpoint of all AWS services.
    pub(crate) gateway: u16,
    /// ministack, behind the gateway.
    pub(crate) cloud: u16,
    /// The Databricks workspace.
    #[serde(default = "databricks")]
    pub(crate) databricks: u16,
    /// Kafka's clients.
    pub(crate) kafka: u16,
    /// Kafka's own controller.
    pub(crate) controller: u16,
    /// `PostgreSQL`.
    pub(crate) postgres: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            gateway: 14566,
            cloud: 14567,
            databricks: databricks(),
            kafka: 19092,
            controller: 19093,
            postgres: 15432,
        }
    }
}

/// The port of the workspace where none is remembered.
fn databricks() -> u16 {
    14568
}

impl Ports {
    /// The remembered ports, else the defaults.
    pub(crate) fn known(home: &Home) -> Result<Self> {
        Ok(files::read_json(&home.ports())?.unwrap_or_default())
    }

    /// The same, but where free ones are wanted and none are remembered yet, chooses them and remembers them.
    pub(crate) fn choose(home: &Home) -> Result<Self> {
        if home.wants_free_ports() && !home.ports().exists() {
            files::write_json(&home.ports(), &Self::free()?)?;
        }
        Self::known(home)
    }

    /// Each port with what it is for.
    pub(crate) fn all(self) -> [(u16, &'static str); 6] {
        [
            (self.gateway, "the AWS endpoint"),
            (self.cloud, "ministack"),
            (self.databricks, "the Databricks workspace"),
            (self.kafka, "Kafka"),
            (self.controller, "Kafka's controller"),
            (self.postgres, "PostgreSQL"),
        ]
    }

    /// Fails when somebody listens on one of them.
    pub(crate) fn check(self) -> Result<()> {
        for (port, what) in self.all() {
            if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err() {
                return Err(Error::PortTaken { port, what: what.to_owned(), holder: holder(port) });
            }
        }
        Ok(())
    }

    /// Chooses ports below those that the kernel gives to outgoing connections, so that none is lost between two starts.
    pub(crate) fn free() -> Result<Self> {
        let mut rng = rand::rng();
        let mut found = Vec::new();
        for _ in 0..1000 {
            let port = rng.random_range(15_000..32_000);
            if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
                // They stay bound until all are found, so that they differ.
                found.push((port, listener));
            }
            if let [a, b, c, d, e, f] = &found[..] {
                let (gateway, cloud, databricks) = (a.0, b.0, c.0);
                return Ok(Self { gateway, cloud, databricks, kafka: d.0, controller: e.0, postgres: f.0 });
            }
        }
        Err(Error::Supervisor { message: "finds no six free ports on 127.0.0.1".to_owned(), log: String::new() })
    }
}

/// Who listens on a port, as text; none when the kernel does not tell, as for another user's program.
pub(crate) fn holder(port: u16) -> Option<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|it| fs::read_to_string(it).unwrap_or_default());
    let inode = tables.iter().find_map(|it| listener(it, port))?;
    let wanted = format!("socket:[{inode}]");
    fs::read_dir("/proc").ok()?.filter_map(|it| it.ok()?.file_name().to_str()?.parse::<u32>().ok()).find_map(|pid| {
        let holds = |dir: &Path| {
            fs::read_dir(dir).ok()?.find(|it| {
                it.as_ref().is_ok_and(|it| fs::read_link(it.path()).is_ok_and(|it| it.as_os_str() == wanted.as_str()))
            })
        };
        holds(Path::new(&format!("/proc/{pid}/fd")))?.ok()?;
        Some(format!("process {pid} (`{}`)", process::title(pid)?))
    })
}

/// Finds the inode of the listening socket of a port in a table as `/proc/net/tcp` has it.
fn listener(table: &str, port: u16) -> Option<String> {
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let local = fields.get(1)?.rsplit_once(':')?.1;
        // State 0A is LISTEN.
        (u16::from_str_radix(local, 16) == Ok(port) && *fields.get(3)? == "0A")
            .then(|| fields.get(9).map(|&it| it.to_owned()))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_names_its_holder() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
        let port = taken.local_addr().expect("address").port();
        let free = Ports::free().expect("free ports");
        let err = Ports { kafka: port, ..free }.check().expect_err("taken");
        let text = err.to_string();
        assert!(
            text.starts_with(&format!("port {port}, for Kafka, is taken by process {} (`", std::process::id())),
            "{text}"
        );
    }

    #[test]
    fn free_ports_are_free_and_differ() {
        let ports = Ports::free().expect("free ports");
        ports.check().expect("all free");
        let mut all = ports.all().map(|it| it.0).to_vec();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 6);
    }

    #[test]
    fn only_listening_sockets_count() {
        let table = "  sl  local_address rem_address   st\n\
             0: 0100007F:1F90 00000000:0000 01 00000000:00000000 00:00000000 00000000     0        0 11 1\n\
             1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 22 1\n";
        assert_eq!(listener(table, 8080).as_deref(), Some("22"));
        assert_eq!(listener(table, 8081), None);
    }
}
