//! What depends on what: unknown tasks, and tasks that wait for each other.

use std::collections::{BTreeMap, BTreeSet};

use super::{Flaws, Job, known, step};

/// Finds what is wrong with the order of tasks.
pub(super) fn check(job: &Job, flaws: &mut Flaws) {
    let mut open: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (key, task) in &job.tasks {
        let before = open.entry(key).or_default();
        for (i, it) in task.depends_on.iter().enumerate() {
            let at = format!("{}/depends_on/{i}", step("/tasks", key));
            if it == key {
                flaws.add(at, "the task would wait for itself", "remove this");
            } else if !job.tasks.contains_key(it) {
                flaws.add(at, format!("there is no task `{it}` in this job"), known("tasks", job.tasks.keys()));
            } else if !before.insert(it) {
                flaws.add(at, format!("`{it}` stands here twice"), "keep one");
            }
        }
    }
    // What waits for nothing that is open can run; what is left then waits for each other, or for such.
    loop {
        let ready: BTreeSet<&str> = open.iter().filter(|it| it.1.is_empty()).map(|it| *it.0).collect();
        if ready.is_empty() {
            break;
        }
        open.retain(|key, _| !ready.contains(key));
        for it in open.values_mut() {
            it.retain(|it| !ready.contains(it));
        }
    }
    let Some(around) = open.keys().next().map(|it| circle(&open, it)) else { return };
    let Some(first) = around.first().copied() else { return };
    let told = around.iter().chain([&first]).copied().collect::<Vec<_>>().join(" → ");
    let next = around.get(1).copied().unwrap_or(first);
    let place = job.tasks[first].depends_on.iter().position(|it| it == next).unwrap_or_default();
    let at = format!("{}/depends_on/{place}", step("/tasks", first));
    flaws.add(at, format!("these tasks wait for each other, so that none can be first: {told}"), "remove one of these");
}

/// Follows one of those that each waits for until it comes round.
fn circle<'a>(open: &BTreeMap<&'a str, BTreeSet<&'a str>>, start: &'a str) -> Vec<&'a str> {
    let mut path = vec![start];
    while let Some(next) = path.last().and_then(|it| open.get(it)?.first().copied()) {
        if let Some(begin) = path.iter().position(|it| *it == next) {
            return path.split_off(begin);
        }
        path.push(next);
    }
    path
}
