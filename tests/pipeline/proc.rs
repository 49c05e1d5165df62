//! What the kernel knows of processes (proc(5)).

use std::fs;

/// Lists all processes.
pub(crate) fn all() -> Vec<u32> {
    fs::read_dir("/proc").expect("/proc").filter_map(|it| it.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// Returns a process, its parent, and so on.
pub(crate) fn ancestry(pid: u32) -> Vec<u32> {
    let mut line = vec![pid];
    while let Some(parent) = field(*line.last().unwrap_or(&0), 4).filter(|it| *it > 1) {
        line.push(u32::try_from(parent).expect("a process number"));
    }
    line
}

/// Returns a variable of the environment that a process was started with.
pub(crate) fn environment(pid: u32, name: &str) -> Option<String> {
    let all = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let text = String::from_utf8_lossy(&all).into_owned();
    text.split('\0').find_map(|it| Some(it.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
}

/// Returns a number of /proc/<pid>/stat, counted from 1 as in the manual; those from 3 on follow the name.
pub(crate) fn field(pid: u32, number: usize) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.split_whitespace().nth(number - 3)?.parse().ok()
}
