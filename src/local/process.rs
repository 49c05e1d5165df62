//! Processes as the kernel tells of them in `/proc` (proc(5)).

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt as _, path::Path, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

pub(crate) use crate::process::Process;
use crate::process::stat;

impl Process {
    /// Sends a signal, unless it is gone already.
    pub(crate) fn signal(self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw)
            && self.lives()
        {
            // The only failures left are that it ended just now, or that it is another user's.
            kill_process(pid, signal).ok();
        }
    }
}

/// All processes of a group, whether or not its leader still lives; only those of one session, when it is given.
pub(crate) fn members(group: u32, session: Option<u32>) -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|it| it.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, stat(pid)?)))
        .filter(|(_, it)| it.group == group && session.is_none_or(|session| it.session == session))
        .filter(|(_, it)| !it.is_over())
        .map(|(pid, it)| Process { pid, start: it.start })
        .collect()
}

/// All processes that were started with an environment variable, whatever group or session they are in by now. One that
/// changed its environment is not among them.
pub(crate) fn started_with(name: &OsStr, value: &OsStr) -> Vec<Process> {
    let wanted = [name.as_bytes(), b"=", value.as_bytes()].concat();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|it| it.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| {
            fs::read(format!("/proc/{pid}/environ")).is_ok_and(|it| it.split(|it| *it == 0).any(|it| it == wanted))
        })
        .filter_map(Process::find)
        .collect()
}

/// Waits until none of them lives; says whether that came to pass in time.
pub(crate) async fn wait_gone(processes: &[Process], patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    while processes.iter().any(|it| it.lives()) {
        if Instant::now() >= deadline {
            return false;
        }
        sleep(Duration::from_millis(10)).await;
    }
    true
}

/// The memory of a group in bytes. Pages that its processes share count once, where the kernel tells.
pub(crate) fn memory(group: u32) -> u64 {
    members(group, None).iter().map(|it| memory_of(it.pid)).sum()
}

fn memory_of(pid: u32) -> u64 {
    let field = |file: &str, name: &str| {
        let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
        let value = text.lines().find_map(|it| it.strip_prefix(name))?;
        value.trim().trim_end_matches(" kB").parse::<u64>().ok()
    };
    field("smaps_rollup", "Pss:").or_else(|| field("status", "VmRSS:")).unwrap_or(0) * 1024
}

/// The name of a process's program, without its arguments: these are nobody else's business.
pub(crate) fn title(pid: u32) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(name.trim().chars().filter(|it| !it.is_control()).collect())
}

/// Says whether a process works in a directory.
pub(crate) fn works_in(pid: u32, dir: &Path) -> bool {
    let dir = fs::canonicalize(dir).ok();
    dir.is_some() && fs::read_link(format!("/proc/{pid}/cwd")).ok() == dir
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_environment_wherever_it_went() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = std::process::Command::new("setsid");
        let mut child = command.args(["sleep", "600"]).env("TMPDIR", folder.path()).spawn().expect("it starts");
        let own = |value: &Path| started_with(OsStr::new("TMPDIR"), value.as_os_str());
        let found = own(folder.path());
        assert!(found.iter().any(|it| it.pid == child.id()), "{found:?}");
        assert!(own(&folder.path().join("other")).is_empty());
        child.kill().expect("it ends");
        child.wait().expect("it ended");
        assert!(own(folder.path()).iter().all(|it| it.pid != child.id()));
    }

    #[test]
    fn this_process_takes_memory() {
        assert!(memory_of(std::process::id()) > 0);
    }
}
