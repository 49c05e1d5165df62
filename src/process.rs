//! Whether a process is alive, for certain, as the kernel tells in `/proc` (proc(5)): a number may be reused, a number with
//! its start time is not. Where there is no `/proc`, only the number counts.

use std::fs;

use rustix::{
    io::Errno,
    process::{Pid, test_kill_process},
};
use serde::{Deserialize, Serialize};

/// One process for certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// When it began, in clock ticks since the machine did.
    pub start: u64,
}

impl Process {
    /// Finds the process that has a number now; none when it is gone or only waits to be reaped.
    pub fn find(pid: u32) -> Option<Self> {
        let stat = stat(pid).filter(|it| !it.is_over())?;
        Some(Self { pid, start: stat.start })
    }

    /// Says whether it still runs.
    pub fn lives(self) -> bool {
        Self::find(self.pid) == Some(self)
    }
}

/// Says whether the process that had this number, and began then where that is known, certainly runs no more. One that
/// cannot be looked at counts as alive.
pub fn is_gone(pid: u32, start: Option<u64>) -> bool {
    if let Some(it) = stat(pid) {
        return it.is_over() || start.is_some_and(|start| start != it.start);
    }
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|it| matches!(test_kill_process(it), Err(Errno::SRCH)))
}

/// Returns what tells this run of the machine, and the table of processes within it, from all others: only where it is the
/// same does a number mean the same process, and a clock the same time. None where the kernel does not tell.
pub fn boot() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    // A container has a table of its own (pid_namespaces(7)), and often the name of its host.
    let table = fs::read_link("/proc/self/ns/pid").ok()?;
    let id = Some(id.trim()).filter(|it| !it.is_empty())?;
    Some(format!("{id} {}", table.display()))
}

/// What `/proc/<pid>/stat` says, as far as it is of use here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) state: char,
    pub(crate) group: u32,
    pub(crate) session: u32,
    pub(crate) start: u64,
}

impl Stat {
    /// Says whether it has ended, and only waits to be reaped.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

pub(crate) fn stat(pid: u32) -> Option<Stat> {
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
        assert!(own.lives() && !is_gone(own.pid, Some(own.start)) && !is_gone(own.pid, None));
        assert!(!Process { start: own.start + 1, ..own }.lives());
        assert!(is_gone(own.pid, Some(own.start + 1)));
        // Far above the largest number that Linux gives.
        assert!(is_gone(i32::MAX as u32, None));
    }

    #[test]
    fn one_that_has_ended_and_was_not_reaped_is_gone() {
        let mut child = std::process::Command::new("true").spawn().expect("started");
        let start = Process::find(child.id()).map(|it| it.start);
        while stat(child.id()).is_some_and(|it| !it.is_over()) {
            std::thread::yield_now();
        }
        assert!(is_gone(child.id(), start) && Process::find(child.id()).is_none());
        child.wait().expect("reaped");
    }
}
