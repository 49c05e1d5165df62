//! Processes as the kernel tells of them in `/proc` (proc(5)).

use std::{fs, path::Path, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

/// One process for certain: a number may be reused, a number with its start time is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Process {
    /// Its number.
    pub(crate) pid: u32,
    /// When it began, in clock ticks since the machine did.
    pub(crate) start: u64,
}

/// What `/proc/<pid>/stat` says, as far as it is of use here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    state: char,
    group: u32,
    session: u32,
    start: u64,
}

impl Process {
    /// Finds the process that has a number now; none when it is gone or only waits to be reaped.
    pub(crate) fn find(pid: u32) -> Option<Self> {
        let stat = stat(pid).filter(|it| !matches!(it.state, 'Z' | 'X'))?;
        Some(Self { pid, start: stat.start })
    }

    /// Says whether it still runs.
    pub(crate) fn lives(self) -> bool {
        Self::find(self.pid) == Some(self)
    }

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
        .filter(|(_, it)| !matches!(it.state, 'Z' | 'X'))
        .map(|(pid, it)| Process { pid, start: it.start })
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

fn stat(pid: u32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads a line of `/proc/<pid>/stat`. The name in parentheses may hold anything, so fields count from the last one.
fn parse(line: &str) -> Option<Stat> {
    let fields: Vec<_> = line.rsplit_once(')')?.1.split_whitespace().collect();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        group: fields.get(2)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        start: fields.get(19)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let line = "42 (a) b (c) S 1 40 39 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 6 7";
        assert_eq!(parse(line), Some(Stat { state: 'S', group: 40, session: 39, start: 12345 }));
        assert_eq!(parse("42 (cut"), None);
    }

    #[test]
    fn this_process_lives_and_another_with_its_number_does_not() {
        let own = Process::find(std::process::id()).expect("own process");
        assert!(own.lives());
        assert!(!Process { start: own.start + 1, ..own }.lives());
        assert!(memory_of(own.pid) > 0);
    }
}
