//! What the kernel knows of a local cloud's processes (proc(5)).

use std::{collections::BTreeSet, fs};

use rustix::process::{Pid, Signal, kill_process};

/// Ends a process as the out-of-memory killer does.
pub(crate) fn kill(pid: u32) {
    let pid = Pid::from_raw(pid.cast_signed()).expect("process number");
    // One that is gone already is fine.
    kill_process(pid, Signal::KILL).ok();
}

/// All living processes of a session.
pub(crate) fn session(leader: u32) -> Vec<u32> {
    let pids = fs::read_dir("/proc").expect("/proc").filter_map(|it| it.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        fields.get(3) == Some(&leader.to_string().as_str()) && fields.first() != Some(&"Z")
    })
    .collect()
}

/// The TCP addresses and ports that processes listen on.
pub(crate) fn listeners(pids: &[u32]) -> BTreeSet<(String, u16)> {
    let sockets: BTreeSet<String> = pids
        .iter()
        .filter_map(|pid| fs::read_dir(format!("/proc/{pid}/fd")).ok())
        .flatten()
        .filter_map(|it| {
            fs::read_link(it.ok()?.path())
                .ok()?
                .to_str()?
                .strip_prefix("socket:[")?
                .strip_suffix(']')
                .map(str::to_owned)
        })
        .collect();
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|it| fs::read_to_string(it).unwrap_or_default());
    let rows = tables.iter().flat_map(|it| it.lines().skip(1)).map(|it| it.split_whitespace().collect::<Vec<_>>());
    rows.filter(|it| it[3] == "0A" && sockets.contains(it[9]))
        .map(|it| {
            let (address, port) = it[1].split_once(':').expect("address and port");
            (address.to_owned(), u16::from_str_radix(port, 16).expect("port"))
        })
        .collect()
}
